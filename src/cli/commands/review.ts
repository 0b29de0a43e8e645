// The interactive `scn review`: one pending cause after the other, each key the twin of a command.
import { createInterface } from 'node:readline'
import { formatSection } from '../../trace/format.ts'
import { parseGolden } from '../../trace/golden.ts'
import { sectionKey } from '../../trace/section.ts'
import type { Console } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { goldenPathOf, readGolden } from '../goldens.ts'
import {
  acceptCommand,
  type PendingCase,
  type PendingGroup,
  pendingGroups,
  rejectCommand,
} from './pending.ts'

const keyHelp =
  'a accept  r reject  s skip  g whole group  A accept all left  R reject all left  S skip all left  d difference  f full new  o old  q quit  ? help'

/** Answers the next key of a person; undefined when the input ends. */
export type AskKey = (prompt: string) => Promise<string | undefined>

/** Reads keys as lines from standard input (a letter and return), so that it works in any terminal and in a pipe. */
export function lineKeys(): { readonly ask: AskKey; readonly close: () => void } {
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const waiting: string[] = []
  let wake: (() => void) | undefined
  let ended = false
  lines.on('line', (line) => {
    waiting.push(line)
    wake?.()
  })
  lines.on('close', () => {
    ended = true
    wake?.()
  })
  const ask: AskKey = async (prompt) => {
    process.stderr.write(prompt)
    while (waiting.length === 0 && !ended) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return waiting.shift()?.trim()
  }
  return { ask, close: () => lines.close() }
}

/** `scn review`: one cause after the other. */
export async function reviewCommand(
  args: { readonly paths: readonly string[]; readonly group: number | undefined },
  console: Console,
  ask: AskKey,
): Promise<number> {
  const groups = pendingGroups(console, args.paths).filter(
    ({ number }) => args.group === undefined || number === args.group,
  )
  const accepted: string[] = []
  const rejected: string[] = []
  const left = groups.flatMap((group) => group.cases.map((each) => ({ group, each })))
  let stop = false
  while (left.length > 0 && !stop) {
    const next = left[0]
    if (next === undefined) break
    console.out(
      `\n${next.each.selector}   (${left.length} left, group ${next.group.number} of ${groups.length}: ${next.group.cases.length} cases)\n${next.each.lines.slice(0, 20).join('\n')}\n`,
    )
    const key = await ask(`[a r s g A R S d f o q ?] `)
    stop = applyKey(key, { next, left, accepted, rejected }, console)
  }
  if (accepted.length > 0) acceptCommand({ selectors: accepted, group: undefined, all: false }, console)
  if (rejected.length > 0) rejectCommand({ selectors: rejected, group: undefined, all: false }, console)
  console.out(`${accepted.length} accepted, ${rejected.length} rejected, ${left.length} left\n`)
  return exitCode.passed
}

interface Item {
  readonly group: PendingGroup
  readonly each: PendingCase
}

interface Review {
  readonly next: Item
  readonly left: Item[]
  readonly accepted: string[]
  readonly rejected: string[]
}

/** Does what a key says; true ends the review. */
function applyKey(key: string | undefined, review: Review, console: Console): boolean {
  const { next, left, accepted, rejected } = review
  const take = (items: readonly Item[], into: string[]): void => {
    into.push(...items.map(({ each }) => each.selector))
    for (const item of items) left.splice(left.indexOf(item), 1)
  }
  switch (key) {
    case 'a':
      take([next], accepted)
      return false
    case 'r':
      take([next], rejected)
      return false
    case 's':
      left.shift()
      return false
    case 'g':
      take(
        left.filter(({ group }) => group === next.group),
        accepted,
      )
      return false
    case 'A':
      take([...left], accepted)
      return false
    case 'R':
      take([...left], rejected)
      return false
    case 'S':
    case 'q':
    case undefined:
      return true
    case 'd':
      console.out(`${next.each.lines.join('\n')}\n`)
      return false
    case 'f':
      console.out(formatSection(next.each.section))
      return false
    case 'o':
      console.out(oldText(console, next.each))
      return false
    default:
      console.out(`${keyHelp}\n`)
      return false
  }
}

function oldText(console: Console, { path, section }: PendingCase): string {
  const source = readGolden(console.cwd, goldenPathOf(path))
  const golden = source === undefined ? undefined : parseGolden(source)
  return golden?.sections.find(({ key }) => key === sectionKey(section))?.text ?? 'there is no golden yet\n'
}
