// What differs between the trace that was accepted and the one that a run made. Enters: two sections; leaves: a list of
// differences in the order of cause before consequence, each with its place, its lines and its line in the golden.
// Packets come first, in the order of their birth, each hook by hook; addresses, outcomes and what is left behind follow
// from what the packets did.
import { type AlignWork, align } from './align.ts'
import { compareHooks } from './diff-hooks.ts'
import type { Difference, DiffLine } from './difference.ts'
import { compareReach, isReachTable } from './reach-table.ts'
import { headLine, type PacketSection, type PlainLine, type Section } from './section.ts'

/** The first divergence as a name for a group of cases: equal for equal causes, whatever the packets are called. */
interface Cause {
  /** 16 hexadecimal digits. */
  readonly key: string
  /** What the key was made from. */
  readonly text: string
}

/** The result of a comparison. */
export interface SectionDiff {
  /** Empty when both say the same. */
  readonly differences: readonly Difference[]
  readonly cause?: Cause
  /** Lines with `-` or `+` behind the first difference. */
  readonly consequentLines: number
  /** Hardly anything is common: people want to read the new text rather than a difference. */
  readonly whollyDifferent: boolean
}

const equal: SectionDiff = { differences: [], consequentLines: 0, whollyDifferent: false }

/** Compares what was accepted with what happened. Never throws; the cost grows with the number of lines only. */
export function diffSections(
  expected: Section,
  actual: Section,
  work: AlignWork = { steps: 0 },
): SectionDiff {
  const differences: Difference[] = []
  // another level shows other hooks: their differences would say nothing of the packets
  if (expected.level !== actual.level) differences.push(levelDifference(expected, actual))
  else compareSections(expected, actual, differences, work)
  const [first, ...rest] = differences
  if (first === undefined) return equal
  const common = commonShare(expected, differences)
  return {
    differences,
    cause: causeOf(first),
    consequentLines: rest.reduce((sum, { lines }) => sum + changedLines(lines), 0),
    whollyDifferent: common < 0.05,
  }
}

function compareSections(
  expected: Section,
  actual: Section,
  differences: Difference[],
  work: AlignWork,
): void {
  comparePackets(expected.packets, actual.packets, differences, work)
  comparePlain('where', '', [expected.where, actual.where], differences, work)
  comparePlain('outcome', '', [expected.outcomes, actual.outcomes], differences, work)
  compareStates(expected, actual, differences, work)
}

function levelDifference(expected: Section, actual: Section): Difference {
  const lines: DiffLine[] = [
    { sign: '-', text: `level ${expected.level}`, row: 0 },
    { sign: '+', text: `level ${actual.level}`, row: 0 },
  ]
  return { kind: 'where', packet: '', node: '', place: 'level', actor: '', row: 0, lines }
}

function changedLines(lines: readonly DiffLine[]): number {
  return lines.reduce((count, { sign }) => count + (sign === ' ' ? 0 : 1), 0)
}

/** The share of the accepted lines that are still there; 1 for short texts, which are always worth a difference. */
function commonShare(expected: Section, differences: readonly Difference[]): number {
  let total = expected.where.length + expected.outcomes.length
  for (const { hooks } of expected.packets) for (const { effects } of hooks) total += 1 + effects.length
  for (const { lines } of expected.state) total += lines.length
  if (total < 100) return 1
  const gone = differences.reduce(
    (sum, { lines }) => sum + lines.reduce((count, { sign }) => count + (sign === '-' ? 1 : 0), 0),
    0,
  )
  return 1 - gone / total
}

function comparePackets(
  expected: readonly PacketSection[],
  actual: readonly PacketSection[],
  differences: Difference[],
  work: AlignWork,
): void {
  const indexes = new Map(actual.map(({ name }, index) => [name, index]))
  const known = new Set(expected.map(({ name }) => name))
  let next = 0
  const addNew = (until: (packet: PacketSection) => boolean): void => {
    for (let packet = actual[next]; packet !== undefined && !until(packet); packet = actual[next]) {
      if (!known.has(packet.name)) differences.push(wholePacket('+', packet))
      next += 1
    }
  }
  for (const old of expected) {
    const index = indexes.get(old.name) ?? -1
    const now = actual[index]
    if (now === undefined) {
      differences.push(wholePacket('-', old))
      continue
    }
    if (index >= next) addNew((packet) => packet === now)
    compareSummary(old, now, differences)
    if (isReachTable(old)) compareReach(old, now, differences)
    else compareHooks(old, now, differences, work)
  }
  addNew(() => false)
  compareOrder(expected, actual, differences)
}

function compareSummary(old: PacketSection, now: PacketSection, differences: Difference[]): void {
  if (old.summary === now.summary) return
  const row = old.row ?? 0
  const lines: DiffLine[] = [
    { sign: '-', text: headLine(old), row },
    { sign: '+', text: headLine(now), row: 0 },
  ]
  differences.push({ kind: 'packet', packet: old.name, node: '', place: '', actor: '', row, lines })
}

/** A packet that only one side has. */
function wholePacket(sign: '-' | '+', packet: PacketSection): Difference {
  const at = (number: number | undefined): number => (sign === '-' ? (number ?? 0) : 0)
  const lines: DiffLine[] = [{ sign, text: headLine(packet), row: at(packet.row) }]
  for (const { line, effects, rows } of packet.hooks) {
    lines.push({ sign, text: `  ${line}`, row: at(rows?.[0]) })
    effects.forEach((text, index) => {
      lines.push({ sign, text: `    ${text}`, row: at(rows?.[index + 1]) })
    })
  }
  const row = at(packet.row)
  return { kind: 'packet', packet: packet.name, node: '', place: '', actor: '', row, lines }
}

/** The same packets were born in another order. */
function compareOrder(
  expected: readonly PacketSection[],
  actual: readonly PacketSection[],
  differences: Difference[],
): void {
  const here = new Set(actual.map(({ name }) => name))
  const there = new Set(expected.map(({ name }) => name))
  const old = expected.filter(({ name }) => here.has(name))
  const now = actual.filter(({ name }) => there.has(name))
  const at = old.findIndex(({ name }, index) => name !== now[index]?.name)
  const [left, right] = [old[at], now[at]]
  if (left === undefined || right === undefined) return
  const row = left.row ?? 0
  const lines: DiffLine[] = [
    { sign: '-', text: headLine(left), row },
    { sign: '+', text: headLine(right), row: 0 },
  ]
  differences.push({ kind: 'order', packet: left.name, node: '', place: '', actor: '', row, lines })
}

function comparePlain(
  kind: 'where' | 'outcome' | 'state',
  node: string,
  [expected, actual]: readonly [readonly PlainLine[], readonly PlainLine[]],
  differences: Difference[],
  work: AlignWork,
): void {
  const lines = plainLines(expected, actual, work)
  const first = lines.find(({ sign }) => sign !== ' ')
  if (first === undefined) return
  const row = first.row > 0 ? first.row : (lines.find((line) => line.row > 0)?.row ?? 0)
  const changed = lines.filter(({ sign }) => sign !== ' ')
  differences.push({ kind, packet: '', node, place: kind, actor: '', row, lines: changed })
}

function plainLines(
  expected: readonly PlainLine[],
  actual: readonly PlainLine[],
  work: AlignWork,
): DiffLine[] {
  const partner = align(
    expected.map(({ text }) => text),
    actual.map(({ text }) => text),
    work,
  )
  const lines: DiffLine[] = []
  let next = 0
  const come = (end: number): void => {
    for (; next < end; next += 1) lines.push({ sign: '+', text: actual[next]?.text ?? '', row: 0 })
  }
  expected.forEach(({ text, row }, index) => {
    const found = partner[index] ?? -1
    if (found < 0) {
      lines.push({ sign: '-', text, row })
      return
    }
    come(found)
    next = found + 1
    lines.push({ sign: ' ', text, row })
  })
  come(actual.length)
  return lines
}

function compareStates(expected: Section, actual: Section, differences: Difference[], work: AlignWork): void {
  const now = new Map(actual.state.map((state) => [state.node, state.lines]))
  for (const { node, lines } of expected.state) {
    comparePlain('state', node, [lines, now.get(node) ?? []], differences, work)
    now.delete(node)
  }
  for (const [node, lines] of now) comparePlain('state', node, [[], lines], differences, work)
}

/** Two 32-bit FNV-1a sums with different starts, as hexadecimal digits. */
function hashOf(text: string): string {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
  }
  const digits = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
  return digits(high) + digits(low)
}

function causeOf({ kind, place, actor, lines, packet }: Difference): Cause {
  // the packet's name differs between cases of one cause, and stands in the lines of a packet that came or went
  const changed = lines
    .filter(({ sign }) => sign !== ' ')
    .map(({ sign, text }) => `${sign} ${packet === '' ? text : text.replace(` ${packet} `, ' ')}`)
  const text = [[kind, place, actor].filter((word) => word !== '').join(' '), ...changed].join('\n')
  return { key: hashOf(text), text }
}
