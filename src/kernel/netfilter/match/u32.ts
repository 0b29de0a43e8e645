// Any four bytes of a packet: xt_u32.c. Docker's encrypted overlays ask for a VNI with it.
import { readU32 } from '../../../net/bytes.ts'
import type { ChainPacket, MatchKind, MatchSpec } from '../extension.ts'
import { parseNumber } from '../values.ts'
import { negatable, required, valueText } from './given.ts'

type Operator = '&' | '<<' | '>>' | '@'

/** `START OP NUMBER ... = MIN:MAX,...`; `@` begins anew behind so many bytes. */
interface U32Test {
  readonly start: number
  readonly steps: readonly { readonly operator: Operator; readonly number: number }[]
  readonly values: readonly { readonly min: number; readonly max: number }[]
}

const testsMax = 10

function parseLocation(text: string): Pick<U32Test, 'start' | 'steps'> | undefined {
  const [first = '', ...rest] = text.split(/(&|<<|>>|@)/).map((part) => part.trim())
  const start = parseNumber(first)
  const steps: U32Test['steps'][number][] = []
  for (let at = 0; at < rest.length; at += 2) {
    const number = parseNumber(rest[at + 1] ?? '')
    if (number === undefined) return undefined
    steps.push({ operator: rest[at] as Operator, number })
  }
  return start === undefined ? undefined : { start, steps }
}

function parseValues(text: string): U32Test['values'] | undefined {
  const values = text.split(',').map((part) => {
    const [min, max = min, ...more] = part.split(':').map((each) => parseNumber(each.trim()))
    return min === undefined || max === undefined || more.length > 0 ? undefined : { min, max }
  })
  return values.includes(undefined) ? undefined : (values as U32Test['values'])
}

function parseTests(text: string): readonly U32Test[] | undefined {
  const tests = text.split('&&').map((part) => {
    const [left = '', right, ...more] = part.split('=')
    const location = parseLocation(left)
    const values = right === undefined ? undefined : parseValues(right)
    return location === undefined || values === undefined || more.length > 0
      ? undefined
      : { ...location, values }
  })
  return tests.includes(undefined) || tests.length > testsMax ? undefined : (tests as readonly U32Test[])
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}

function testText({ start, steps, values }: U32Test): string {
  const where = steps.map(({ operator, number }) => `${operator}${hex(number)}`).join('')
  const what = values.map(({ min, max }) => (min === max ? hex(min) : `${hex(min)}:${hex(max)}`)).join(',')
  return `${hex(start)}${where}=${what}`
}

/** u32_match_it(), for one test; a place outside the packet ends it. */
function holds({ start, steps, values }: U32Test, { skb, l3 }: ChainPacket): boolean {
  const length = skb.tail - l3
  if (start + 4 > length) return false
  let base = 0
  let value = readU32(skb.bytes, l3 + start)
  for (const { operator, number } of steps) {
    if (operator === '&') value = (value & number) >>> 0
    else if (operator === '<<') value = (value << number) >>> 0
    else if (operator === '>>') value >>>= number
    else {
      base += value
      if (base + number + 4 > length) return false
      value = readU32(skb.bytes, l3 + base + number)
    }
  }
  return values.some(({ min, max }) => value >= min && value <= max)
}

const u32: MatchKind = {
  name: 'u32',
  options: [negatable('--u32')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--u32', { word, name: '-m u32' })
    if (option === undefined) return undefined
    const tests = parseTests(valueText(option))
    if (tests === undefined)
      return scope.report(
        option.values[0] ?? option.word,
        'a test is written `START&MASK=VALUE`, with `>>`, `<<`, `@` and `&&`',
      )
    const { inverted } = option
    return {
      text: `${inverted ? '! ' : ''}--u32 "${tests.map(testText).join('&&')}"`,
      bind: () => (packet) => tests.every((test) => holds(test, packet)) !== inverted,
    }
  },
}

/** The match on any four bytes. */
export const u32Matches: readonly MatchKind[] = [u32]
