// Lengths of time for people.

const units = [
  { text: 's', nanoseconds: 1_000_000_000 },
  { text: 'ms', nanoseconds: 1_000_000 },
  { text: 'us', nanoseconds: 1000 },
] as const

/** Nanoseconds in the largest unit that leaves no zero in front: `2ms`, `1.5s`, `125us`, `7ns`. Nothing is rounded. */
export function durationText(nanoseconds: number): string {
  for (const unit of units) {
    if (nanoseconds < unit.nanoseconds) continue
    const whole = Math.floor(nanoseconds / unit.nanoseconds)
    const digits = String(unit.nanoseconds).length - 1
    const rest = String(nanoseconds % unit.nanoseconds)
      .padStart(digits, '0')
      .replace(/0+$/, '')
    return rest === '' ? `${whole}${unit.text}` : `${whole}.${rest}${unit.text}`
  }
  return `${nanoseconds}ns`
}
