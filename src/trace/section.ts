// One case of a trace as lines that still know what they belong to. Both sides of a comparison have this form: what a
// run did (made by format.ts) and what a golden says (made by golden.ts), references to other packets resolved.
import type { Level } from './event.ts'

/** One hook line and the effect lines under it, all without indent. */
export interface Hook {
  readonly node: string
  /** `eth0 tc-in           classify            OK` */
  readonly line: string
  readonly effects: readonly string[]
  /** Line number in a golden of the hook line and of each effect, counted from 1; absent for what a run made. */
  readonly rows?: readonly number[]
}

/** One packet's way; or a step between packets, whose name is its title, with what agents did. */
export interface PacketSection {
  readonly name: string
  readonly step?: true
  readonly summary: string
  readonly hooks: readonly Hook[]
  readonly row?: number
}

/** The first line of a packet or of a step. */
export function headLine({ name, summary, step }: PacketSection): string {
  return step === true ? `step ${name}` : `packet ${name} ${summary}`
}

/** A line with its number in a golden (0 for what a run made). */
export interface PlainLine {
  readonly text: string
  readonly row: number
}

/** What one namespace was left with. */
export interface StateSection {
  readonly node: string
  readonly lines: readonly PlainLine[]
  readonly row?: number
}

/** One case of one scenario. */
export interface Section {
  readonly scenario: string
  readonly case?: string
  readonly level: Level
  /** Without the words `where` and `outcome`. */
  readonly where: readonly PlainLine[]
  readonly outcomes: readonly PlainLine[]
  readonly packets: readonly PacketSection[]
  readonly state: readonly StateSection[]
}

/** Names a section among all sections of a golden: `codes`, `codes[redirect]`. */
export function sectionKey(section: Pick<Section, 'scenario' | 'case'>): string {
  return section.case === undefined ? section.scenario : `${section.scenario}[${section.case}]`
}

// Tab stops of a hook line, counted from 0 in the line without its indent of two: columns 25 and 45 on the screen.
const actorColumn = 22
const decisionColumn = 42

function pad(text: string, column: number): string {
  return text.length + 2 <= column ? text.padEnd(column) : `${text}  `
}

/** A hook line from its three columns; what is too long pushes the rest by two blanks. */
export function hookLine(place: string, actor: string, decision: string): string {
  if (decision !== '') return `${pad(pad(place, actorColumn) + actor, decisionColumn)}${decision}`
  return actor === '' ? place : `${pad(place, actorColumn)}${actor}`
}

/** The first column of a hook line. */
export function placeOf(line: string): string {
  const end = line.indexOf('  ')
  return end < 0 ? line : line.slice(0, end)
}

/** The second column of a hook line; '' where a device merely sent or received. */
export function actorOf(line: string): string {
  return line.split(/ {2,}/, 2)[1] ?? ''
}
