// The lines of one case in a golden, read back into a Section. The first letters of a line say what it is, so every line
// is understood on its own and a mistake costs one line only.
import { didYouMean } from '../base/closest.ts'
import type { Level } from './event.ts'
import { type GoldenLine, type GoldenReport, goldenCodes, readLevel, reportAt } from './golden-report.ts'
import { applyReference, type Exception } from './like.ts'
import type { Hook, PacketSection, PlainLine, Section, StateSection } from './section.ts'

interface OpenHook {
  readonly node: string
  readonly line: string
  readonly effects: string[]
  readonly rows: number[]
}

interface OpenPacket {
  readonly name: string
  readonly summary: string
  readonly step?: true
  readonly row: number
  readonly hooks: OpenHook[]
  like:
    | { readonly packet: string; readonly line: GoldenLine; readonly exceptions: [Exception, GoldenLine][] }
    | undefined
}

interface Reading {
  readonly report: GoldenReport
  readonly where: PlainLine[]
  readonly outcomes: PlainLine[]
  readonly packets: OpenPacket[]
  readonly state: { readonly node: string; readonly lines: PlainLine[]; readonly row: number }[]
  level: Level
  node: string | undefined
}

/** Reads one section; undefined when its first line is wrong. Other mistakes are reported and skipped. */
export function readSection(
  lines: readonly GoldenLine[],
  headerLevel: Level,
  report: GoldenReport,
): Section | undefined {
  const [first, ...rest] = lines
  if (first === undefined) return undefined
  const match = /^scenario (\S+)(?: case (\S+))?$/.exec(first.text)
  const scenario = match?.[1]
  if (match === null || scenario === undefined) {
    const message = 'a section starts with `scenario NAME` or `scenario NAME case ID`'
    reportAt(report, first, { code: goldenCodes.unexpectedLine, message })
    return undefined
  }
  const reading: Reading = {
    report,
    where: [],
    outcomes: [],
    packets: [],
    state: [],
    level: headerLevel,
    node: undefined,
  }
  for (const line of rest) readLine(line, reading)
  return {
    scenario,
    ...(match[2] === undefined ? {} : { case: match[2] }),
    level: reading.level,
    where: reading.where,
    outcomes: reading.outcomes,
    packets: resolve(reading),
    state: reading.state satisfies readonly StateSection[],
  }
}

function readLine(line: GoldenLine, reading: Reading): void {
  const { text, row } = line
  if (text === '') return
  if (text.startsWith('  ')) {
    readIndented(line, reading)
    return
  }
  const blank = text.indexOf(' ')
  const word = blank < 0 ? text : text.slice(0, blank)
  const rest = blank < 0 ? '' : text.slice(blank + 1)
  switch (word) {
    case 'where':
      reading.where.push({ text: rest, row })
      return
    case 'outcome':
      reading.outcomes.push({ text: rest, row })
      return
    case 'level':
      reading.level = readLevel(line, rest, reading.report) ?? reading.level
      return
    case 'packet':
      startPacket(rest, row, reading)
      return
    case 'step':
      reading.packets.push({ name: rest, summary: '', step: true, row, hooks: [], like: undefined })
      reading.node = undefined
      return
    case 'like':
      startReference(line, rest, reading)
      return
    case '@':
      readPlace(line, rest, reading)
      return
    case 'state':
      reading.state.push({ node: rest, lines: [], row })
      return
    default:
      reportAt(reading.report, line, {
        code: goldenCodes.unexpectedLine,
        message: `no line of a trace starts with \`${word}\``,
        hint: didYouMean(word, ['where', 'outcome', 'packet', 'step', 'like', 'state', 'scenario', 'level']),
        to: word.length,
      })
  }
}

function startPacket(rest: string, row: number, reading: Reading): void {
  const blank = rest.indexOf(' ')
  const name = blank < 0 ? rest : rest.slice(0, blank)
  const summary = blank < 0 ? '' : rest.slice(blank + 1)
  reading.packets.push({ name, summary, row, hooks: [], like: undefined })
  reading.node = undefined
}

function startReference(line: GoldenLine, rest: string, reading: Reading): void {
  const packet = reading.packets.at(-1)
  const match = /^(\S+)(?: except)?$/.exec(rest)
  if (packet === undefined || match?.[1] === undefined || packet.hooks.length > 0 || packet.step) {
    misplaced(line, reading, '`like NAME` stands right after the line of a packet')
    return
  }
  packet.like = { packet: match[1], line, exceptions: [] }
}

function readPlace(line: GoldenLine, rest: string, reading: Reading): void {
  const like = reading.packets.at(-1)?.like
  if (like === undefined) {
    reading.node = rest
    return
  }
  const match = /^(\S+) (.+?): (.+)$/.exec(rest)
  const [, node, place, text] = match ?? []
  if (node === undefined || place === undefined || text === undefined) {
    misplaced(line, reading, 'an exception is written `@ NODE PLACE: EFFECT` or `@ NODE PLACE: no EFFECT`')
    return
  }
  like.exceptions.push([{ node, place, text, row: line.row }, line])
}

function readIndented(line: GoldenLine, reading: Reading): void {
  const { text, row } = line
  const state = reading.state.at(-1)
  if (state !== undefined) {
    state.lines.push({ text: text.slice(2), row })
    return
  }
  const packet = reading.packets.at(-1)
  if (packet === undefined || packet.like !== undefined || reading.node === undefined) {
    misplaced(line, reading, 'an indented line belongs under a node, `@ NODE`, or under `state NODE`')
    return
  }
  if (!text.startsWith('    ')) {
    packet.hooks.push({ node: reading.node, line: text.slice(2), effects: [], rows: [row] })
    return
  }
  const hook = packet.hooks.at(-1)
  if (hook === undefined) {
    misplaced(line, reading, 'an effect belongs under a hook')
    return
  }
  hook.effects.push(text.slice(4))
  hook.rows.push(row)
}

function misplaced(line: GoldenLine, reading: Reading, message: string): void {
  reportAt(reading.report, line, { code: goldenCodes.unexpectedLine, message })
}

/** Puts in place of each reference the hooks that it stands for. */
function resolve(reading: Reading): readonly PacketSection[] {
  const done = new Map<string, PacketSection>()
  for (const { name, summary, step, row, hooks, like } of reading.packets) {
    if (like === undefined) {
      done.set(name, { name, summary, ...(step === undefined ? {} : { step }), hooks, row })
      continue
    }
    const base = done.get(like.packet)
    if (base === undefined) {
      const message = `no packet \`${like.packet}\` stands before this line`
      const hint = didYouMean(like.packet, done.keys())
      reportAt(reading.report, like.line, { code: goldenCodes.unknownReference, message, hint, from: 5 })
      continue
    }
    done.set(name, { name, summary, hooks: hooksOf(base.hooks, like, reading), row })
  }
  return [...done.values()]
}

function hooksOf(
  base: readonly Hook[],
  like: NonNullable<OpenPacket['like']>,
  reading: Reading,
): readonly Hook[] {
  const exceptions = like.exceptions.map(([exception]) => exception)
  const applied = applyReference(base, exceptions, like.line.row)
  if (applied.kind === 'applied') return applied.hooks
  const line = like.exceptions.find(([exception]) => exception === applied.exception)?.[1] ?? like.line
  const message = `\`${like.packet}\` has no such hook or effect`
  reportAt(reading.report, line, { code: goldenCodes.unknownReference, message, from: 2 })
  return base
}
