// `scn pending`, `accept` and `reject`: what a run left behind, seen by cause, taken or thrown away. Accepting runs the
// case again: only what is still true, and whose expectations hold, becomes golden.
import { diffSections } from '../../trace/diff.ts'
import { formatSection } from '../../trace/format.ts'
import { parseGolden } from '../../trace/golden.ts'
import { renderDiff } from '../../trace/render-diff.ts'
import { type Section, sectionKey } from '../../trace/section.ts'
import { type Console, inCi } from '../console.ts'
import { exitCode } from '../exit-code.ts'
import { exists } from '../files.ts'
import {
  changeGolden,
  changePending,
  goldenPathOf,
  pendingPathOf,
  readGolden,
  readPending,
} from '../goldens.ts'
import { selectFiles } from '../selection.ts'
import { parseSelector, type Selector, selectorText, selects } from '../selector.ts'
import { UsageError } from '../usage.ts'
import { runOne } from '../work.ts'
import { mayAccept } from './run.ts'

/** One pending section with what it would replace. */
export interface PendingCase {
  readonly path: string
  readonly selector: string
  readonly section: Section
  readonly kind: 'changed' | 'new'
  /** Equal for cases with the same first divergence. */
  readonly cause: string
  readonly lines: readonly string[]
}

export interface PendingGroup {
  readonly number: number
  readonly cases: readonly PendingCase[]
}

function emptySection(section: Section): Section {
  return { ...section, where: [], outcomes: [], packets: [], state: [] }
}

/** Everything pending below the given paths, grouped by cause, in a stable order. */
export function pendingGroups(console: Console, paths: readonly string[]): PendingGroup[] {
  const groups = new Map<string, PendingCase[]>()
  for (const { path } of selectFiles(console.cwd, {
    paths,
    keyword: undefined,
    tags: undefined,
    shard: undefined,
  })) {
    if (!exists(console.cwd, pendingPathOf(path))) continue
    for (const each of pendingOf(console, path))
      groups.set(each.cause, [...(groups.get(each.cause) ?? []), each])
  }
  return [...groups.values()].map((cases, index) => ({ number: index + 1, cases }))
}

function pendingOf(console: Console, path: string): PendingCase[] {
  const pending = readPending(console.cwd, path)
  const source = readGolden(console.cwd, goldenPathOf(path))
  const golden = source === undefined ? undefined : parseGolden(source)
  return (pending?.sections ?? []).map(({ section, key }) => {
    const accepted = golden?.sections.find((each) => each.key === key)?.section
    const diff = diffSections(accepted ?? emptySection(section), section)
    const goldenName = goldenPathOf(path).split('/').at(-1) ?? path
    return {
      path,
      selector: selectorText(path, section.scenario, section.case),
      section,
      kind: accepted === undefined ? 'new' : 'changed',
      cause: accepted === undefined ? `new ${path}` : (diff.cause?.key ?? key),
      lines:
        accepted === undefined
          ? formatSection(section)
              .trimEnd()
              .split('\n')
              .map((line) => `    ${line}`.trimEnd())
          : renderDiff(diff, { golden: goldenName, verbose: true }),
    }
  })
}

/** `scn pending [--json] [paths]`. Exit code 1 when something is pending. */
export function pendingCommand(
  args: { readonly paths: readonly string[]; readonly json: boolean },
  console: Console,
): number {
  const groups = pendingGroups(console, args.paths)
  if (args.json) {
    const value = groups.map(({ number, cases }) => ({
      group: number,
      cases: cases.map(({ selector, kind }) => ({ selector, kind })),
    }))
    console.out(`${JSON.stringify(value, undefined, 2)}\n`)
  } else if (groups.length === 0) console.out('nothing is pending\n')
  else for (const group of groups) console.out(groupText(group))
  return groups.length === 0 ? exitCode.passed : exitCode.failed
}

function groupText({ number, cases }: PendingGroup): string {
  const [first] = cases
  const head = `group ${number}: ${cases.length} ${first?.kind ?? ''} case${cases.length === 1 ? '' : 's'}, one cause`
  const list = cases.map(({ selector }) => `  ${selector}`)
  const shown = (first?.lines ?? []).slice(0, 20)
  return `${[head, ...list, '', ...shown].join('\n')}\n\n`
}

export interface Choice {
  /** Exact selectors or paths. */
  readonly selectors: readonly string[]
  readonly group: number | undefined
  readonly all: boolean
}

/** The pending cases that a command line chooses; at least one way of choosing must be used. */
function chosen(console: Console, choice: Choice): PendingCase[] {
  if (choice.selectors.length === 0 && choice.group === undefined && !choice.all) {
    throw new UsageError('say what is meant: a selector, --group N or --all')
  }
  const selectors = choice.selectors.map(parseSelector)
  const groups = pendingGroups(
    console,
    selectors.map(({ path }) => path),
  )
  if (choice.group !== undefined) {
    const group = groups.find(({ number }) => number === choice.group)
    if (group === undefined)
      throw new UsageError(`there is no group ${choice.group}; scn pending lists ${groups.length}`)
    return [...group.cases]
  }
  const cases = groups.flatMap((group) => group.cases)
  return selectors.length === 0
    ? cases
    : cases.filter((each) => selectors.some((selector) => means(selector, each)))
}

function means(selector: Selector, { section, path }: PendingCase): boolean {
  const item = { path, scenario: section.scenario, id: section.case, title: '', tags: [] }
  return selects(selector, item)
}

/** `scn accept`: verified by running again. Also takes obsolete sections of whole files out. */
export function acceptCommand(choice: Choice, console: Console): number {
  if (inCi(console)) throw new UsageError('goldens are never accepted where CI is set')
  const cases = chosen(console, choice)
  const paths = new Set([...cases.map(({ path }) => path), ...wholeFiles(console, choice)])
  let refused = 0
  let accepted = 0
  for (const path of paths) {
    const result = acceptFile(
      console,
      path,
      cases.filter((each) => each.path === path),
      choice,
    )
    refused += result.refused
    accepted += result.accepted
  }
  console.out(`accepted ${accepted}${refused > 0 ? `, refused ${refused}` : ''}\n`)
  return refused > 0 ? exitCode.failed : accepted === 0 ? exitCode.nothing : exitCode.passed
}

/** Files named whole: their obsolete sections go too. */
function wholeFiles(console: Console, choice: Choice): string[] {
  const paths = choice.selectors.filter((text) => !text.includes('::'))
  if (paths.length === 0 && !choice.all) return []
  return selectFiles(console.cwd, { paths, keyword: undefined, tags: undefined, shard: undefined })
    .map(({ path }) => path)
    .filter((path) => exists(console.cwd, goldenPathOf(path)) || exists(console.cwd, pendingPathOf(path)))
}

function acceptFile(
  console: Console,
  path: string,
  cases: readonly PendingCase[],
  choice: Choice,
): { accepted: number; refused: number } {
  const { verdict, keys } = runOne(
    { path, selectors: [], keyword: undefined, tags: undefined },
    { cwd: console.cwd, seed: 0 },
  )
  if (verdict.kind !== 'run') {
    console.err(`${path}: cannot be run, nothing is accepted\n`)
    return { accepted: 0, refused: Math.max(1, cases.length) }
  }
  const replace: Section[] = []
  let refused = 0
  for (const { section, selector } of cases) {
    const now = verdict.cases.find((each) => each.scenario === section.scenario && each.id === section.case)
    const same = now?.section !== undefined && formatSection(now.section) === formatSection(section)
    if (now !== undefined && same && mayAccept(now)) {
      replace.push(section)
      continue
    }
    refused += 1
    const why =
      now === undefined
        ? 'there is no such case any more'
        : same
          ? 'an expectation of it fails'
          : 'it behaves differently by now; run again'
    console.err(`refused ${selector}: ${why}\n`)
  }
  const whole = choice.all || choice.selectors.some((text) => !text.includes('::'))
  const remove = whole
    ? verdict.obsolete.map(({ scenario, id }) =>
        sectionKey(id === undefined ? { scenario } : { scenario, case: id }),
      )
    : []
  const changes = replace.length + remove.length
  if (changes === 0) return { accepted: 0, refused }
  if (!changeGolden(console.cwd, goldenPathOf(path), { replace, remove, order: keys })) {
    const golden = goldenPathOf(path)
    console.err(
      `refused ${path}: ${golden} cannot be read (see scn check); mend it, or accept all of its cases\n`,
    )
    return { accepted: 0, refused: refused + changes }
  }
  changePending(console.cwd, path, { replace: [], remove: replace.map(sectionKey), order: keys })
  return { accepted: changes, refused }
}

/** `scn reject`: the pending sections go, the goldens stay. */
export function rejectCommand(choice: Choice, console: Console): number {
  const cases = chosen(console, choice)
  for (const path of new Set(cases.map((each) => each.path))) {
    const remove = cases.filter((each) => each.path === path).map(({ section }) => sectionKey(section))
    const order = (readPending(console.cwd, path)?.sections ?? []).map(({ key }) => key)
    changePending(console.cwd, path, { replace: [], remove, order })
  }
  console.out(`rejected ${cases.length}\n`)
  return cases.length === 0 ? exitCode.nothing : exitCode.passed
}
