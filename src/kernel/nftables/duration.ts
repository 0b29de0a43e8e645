// Times as nft writes them: `3h`, `1d2h3m4s5ms`, or seconds.
import type { Cursor } from './cursor.ts'

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const

/** Seconds, with fractions of them. */
export function readDuration(cursor: Cursor): number {
  const { token } = cursor
  const found = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(token.text)
  const plain = /^\d+$/.test(token.text)
  if (token.kind !== 'number' || (found === null && !plain))
    return cursor.fail(`expected a time such as \`3h\`, found ${cursor.found()}`)
  cursor.take()
  if (found === null || plain) return Number(token.text)
  const [, days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = found
  const whole = Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return whole + Number(milliseconds) / 1000
}

/** `2h59m57s300ms`. */
export function durationText(seconds: number): string {
  let milliseconds = Math.floor(seconds * 1000)
  let text = ''
  for (const [unit, size] of units) {
    const count = Math.floor(milliseconds / (size * 1000))
    milliseconds -= count * size * 1000
    if (count > 0) text += `${count}${unit}`
  }
  return milliseconds > 0 || text === '' ? `${text}${milliseconds}ms` : text
}
