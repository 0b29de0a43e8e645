// Numbers as people write them: decimal, hexadecimal, with units. Each reader answers undefined after it has said what is
// wrong, so a value that exists can be trusted.
import type { Report } from '../../base/diagnostic.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'

/** Decimal digits or `0x` digits, a minus sign in front; `_` may separate digits. */
export function integerOf(text: string): number | undefined {
  const plain = text.replaceAll('_', '')
  if (!/^-?(?:[0-9]+|0x[0-9a-f]+)$/i.test(plain)) return undefined
  const negative = plain.startsWith('-')
  const value = Number(negative ? plain.slice(1) : plain)
  if (!Number.isSafeInteger(value)) return undefined
  return negative && value !== 0 ? -value : value
}

export interface Range {
  /** What the number is, for the message: `a port`, `a TTL`. */
  readonly what: string
  readonly min: number
  readonly max: number
}

export const ranges = {
  port: { what: 'a port', min: 0, max: 65535 },
  ttl: { what: 'a TTL', min: 0, max: 255 },
  u8: { what: 'an 8-bit number', min: 0, max: 255 },
  u16: { what: 'a 16-bit number', min: 0, max: 65535 },
  u32: { what: 'a 32-bit number', min: 0, max: 0xffff_ffff },
  mtu: { what: 'an MTU', min: 68, max: 65536 },
  vlan: { what: 'a VLAN id', min: 0, max: 4095 },
  vni: { what: 'a VNI', min: 0, max: 0xff_ffff },
  dscp: { what: 'a DSCP', min: 0, max: 63 },
  ecn: { what: 'an ECN value', min: 0, max: 3 },
  length: { what: 'a payload length', min: 0, max: 65535 },
  repeat: { what: 'a bound of a repeat', min: 0, max: 1_000_000 },
  weight: { what: 'a weight', min: 1, max: 256 },
} as const satisfies Record<string, Range>

/** A number within a range. */
export function numberIn(word: Word, range: Range, report: Report): number | undefined {
  const value = integerOf(word.text)
  if (value === undefined) {
    report(
      mistakeIn('S144', word, `\`${word.text}\` is not a number`, { hint: `${range.what} is needed here` }),
    )
    return undefined
  }
  if (value < range.min || value > range.max) {
    const limits = `${range.what} lies between ${range.min} and ${range.max}`
    report(mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint: limits }))
    return undefined
  }
  return value
}

const nanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** The nanoseconds of a duration with its unit; undefined for anything else. */
export function durationNanoseconds(text: string): number | undefined {
  const [, digits, unit = ''] = /^([0-9]+)([a-z]+)$/.exec(text) ?? []
  const scale = nanoseconds[unit]
  return digits === undefined || scale === undefined ? undefined : Number(digits) * scale
}

/** A duration with its unit, in nanoseconds. */
export function durationIn(word: Word, report: Report): number | undefined {
  const [, digits, unit] = /^([0-9]+)([a-z]*)$/.exec(word.text) ?? []
  const scale = nanoseconds[unit ?? '']
  if (digits !== undefined && scale !== undefined) {
    const value = Number(digits) * scale
    if (value <= 1e18) return value
    report(
      mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint: 'a duration is at most 30 years' }),
    )
    return undefined
  }
  const hint = digits === undefined ? 'write it as `30s` or `1500ms`' : `did you mean \`${digits}s\`?`
  report(mistakeIn('S144', word, `\`${word.text}\` is not a duration`, { hint }))
  return undefined
}

/** Bits a second of a unit of tc(8); `bps` and its kin are bytes. */
const bitsPerUnit: Readonly<Record<string, number>> = Object.fromEntries(
  ['', 'k', 'm', 'g', 't'].flatMap((prefix, power) => [
    [`${prefix}bit`, 1000 ** power],
    [`${prefix}bps`, 8 * 1000 ** power],
    ...(prefix === ''
      ? []
      : [
          [`${prefix}ibit`, 1024 ** power],
          [`${prefix}ibps`, 8 * 1024 ** power],
        ]),
  ]),
)

/** A rate as tc(8) writes it, `10mbit` or `1mbps` (bytes), in bytes a second; a bare number counts bits. */
export function rateIn(word: Word, report: Report): number | undefined {
  const [, digits, unit = ''] = /^([0-9]+)([A-Za-z]*)$/.exec(word.text) ?? []
  const scale = unit === '' ? 1 : bitsPerUnit[unit.toLowerCase()]
  if (digits === undefined || scale === undefined) {
    report(mistakeIn('S144', word, `\`${word.text}\` is not a rate`, { hint: 'write it as `10mbit`' }))
    return undefined
  }
  const value = Math.floor((Number(digits) * scale) / 8)
  if (value >= 1 && value < 0xffff_ffff) return value
  const hint = 'a rate lies between 8bit and 34gbit'
  report(mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint }))
  return undefined
}

const bytesPerUnit: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  k: 1e3,
  kB: 1e3,
  KiB: 1024,
  MB: 1e6,
  MiB: 1048576,
}

/** A size in bytes, `100` or `9000B` or `64KiB`. */
export function bytesIn(word: Word, report: Report): number | undefined {
  const [, digits, unit] = /^([0-9]+)([A-Za-z]*)$/.exec(word.text) ?? []
  const scale = bytesPerUnit[unit ?? '']
  if (digits === undefined || scale === undefined) {
    report(
      mistakeIn('S144', word, `\`${word.text}\` is not a size`, { hint: 'write it as `100` or `9000B`' }),
    )
    return undefined
  }
  const value = Number(digits) * scale
  if (value <= 1e9) return value
  report(mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint: 'a size is at most 1000MB' }))
  return undefined
}
