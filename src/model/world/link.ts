// Files become one story: what is imported stands beside what the file says itself. Enters: the file and every file that
// it imports, parsed; leaves: one list of topology items and one of programs, in the order of the files. Nothing is
// copied as text, so every message still points into the file that somebody wrote.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Source } from '../../base/text.ts'
import type { File, Import, Manifest, Program, Scenario, TopologyItem } from '../../syntax/ast.ts'
import { mistake, warning } from '../diagnose.ts'

export interface Files {
  readonly main: File
  /** Every file reached through imports, by the name that `importPath` gives. */
  readonly imports: ReadonlyMap<string, File>
  /** The files that a `manifest "PATH"` names, by the path as `importPath` gives it. */
  readonly manifests?: ReadonlyMap<string, readonly Source[]>
}

/** A program with a name that no other program has. */
export interface NamedProgram {
  readonly name: string
  readonly syntax: Program
}

export interface Linked {
  readonly topology: readonly Exclude<TopologyItem, { readonly kind: 'use' }>[]
  readonly programs: readonly NamedProgram[]
  readonly manifests: readonly Manifest[]
  readonly scenarios: readonly Scenario[]
  /** What a program is called in a file (by the file's name): its own, and those of its imports as `base.name`. */
  readonly programNames: ReadonlyMap<string, ReadonlyMap<string, NamedProgram>>
}

/** The name of an imported file: the path beside the file that imports it, `..` resolved, with `/` between folders. */
export function importPath(from: string, path: string): string {
  if (path.startsWith('/')) return path
  const parts = from.split('/').slice(0, -1)
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    const last = parts.at(-1)
    if (part === '..' && last !== undefined && last !== '..' && last !== '') parts.pop()
    else parts.push(part)
  }
  return parts.join('/')
}

interface Draft {
  readonly files: Files
  readonly report: Report
  readonly topology: Exclude<TopologyItem, { readonly kind: 'use' }>[]
  readonly programs: { readonly via: string; readonly syntax: Program }[]
  readonly manifests: Manifest[]
  readonly visited: Set<File>
  readonly used: Set<File>
}

/** Follows imports and uses. Reports cycles, missing files, unknown and unused imports. */
export function link(files: Files, report: Report): Linked {
  const draft: Draft = {
    files,
    report,
    topology: [],
    programs: [],
    manifests: [],
    visited: new Set(),
    used: new Set(),
  }
  visit(draft, files.main, '', [])
  useTopology(draft, files.main)
  const programs = nameThem(draft.programs)
  const programNames = new Map(
    [...draft.visited].map((file) => [sourceOf(file), namesIn(file, programs, files)]),
  )
  const scenarios = files.main.items.filter((item) => item.kind === 'scenario')
  reportUnused(files, draft, programNames)
  return { topology: draft.topology, programs, manifests: draft.manifests, scenarios, programNames }
}

const sourceOf = (file: File): string => file.span.source.name

function importsOf(file: File): readonly Import[] {
  return file.items.filter((item) => item.kind === 'import')
}

function target(files: Files, from: File, item: Import): File | undefined {
  return files.imports.get(importPath(sourceOf(from), item.path.text))
}

function visit(draft: Draft, file: File, via: string, stack: readonly File[]): void {
  if (draft.visited.has(file)) return
  draft.visited.add(file)
  for (const item of file.items) {
    if (item.kind === 'prog') draft.programs.push({ via, syntax: item })
  }
  const trail = [...stack, file]
  for (const item of importsOf(file)) {
    const next = target(draft.files, file, item)
    if (next === undefined) {
      const path = importPath(sourceOf(file), item.path.text)
      draft.report(
        mistake('S129', item.path.span, `there is no file \`${path}\``, {
          hint: didYouMean(path, draft.files.imports.keys()) ?? 'the path is taken from this file’s folder',
        }),
      )
    } else if (trail.includes(next) || next === draft.files.main) {
      const cycle = [...trail.slice(trail.indexOf(next)), next].map(sourceOf).join(' > ')
      draft.report(
        mistake('S128', item.path.span, 'this import leads back to where it came from', { hint: cycle }),
      )
    } else visit(draft, next, item.name.text, trail)
  }
}

/** Puts the topology of a file, and of what it uses, behind what is there already; each file's only once. */
function useTopology(draft: Draft, file: File): void {
  if (draft.used.has(file)) return
  draft.used.add(file)
  const imports = importsOf(file)
  for (const item of file.items) {
    if (item.kind === 'manifest') draft.manifests.push(item)
    if (item.kind !== 'topology') continue
    for (const each of item.items) {
      if (each.kind !== 'use') {
        draft.topology.push(each)
        continue
      }
      const found = imports.find((one) => one.name.text === each.name.text)
      if (found === undefined) {
        const known = imports.map((one) => one.name.text)
        draft.report(
          mistake('S103', each.name.span, `no import is called \`${each.name.text}\``, {
            hint: didYouMean(each.name.text, known) ?? 'write `import "FILE.scn" as NAME` above',
          }),
        )
        continue
      }
      const next = target(draft.files, file, found)
      if (next !== undefined) useTopology(draft, next)
    }
  }
}

/** Programs of other files keep their name where it is free, and have the import's name in front where it is not. */
function nameThem(programs: Draft['programs']): readonly NamedProgram[] {
  const taken = new Set(programs.filter((each) => each.via === '').map((each) => each.syntax.name.text))
  return programs.map(({ via, syntax }) => {
    const own = syntax.name.text
    if (via === '' || !taken.has(own)) {
      taken.add(own)
      return { name: own, syntax }
    }
    return { name: `${via}.${own}`, syntax }
  })
}

function namesIn(
  file: File,
  programs: readonly NamedProgram[],
  files: Files,
): ReadonlyMap<string, NamedProgram> {
  const names = new Map<string, NamedProgram>()
  const add = (from: File, before: string): void => {
    for (const each of programs) {
      if (each.syntax.span.source.name === sourceOf(from)) names.set(before + each.syntax.name.text, each)
    }
  }
  add(file, '')
  for (const item of importsOf(file)) {
    const next = target(files, file, item)
    if (next !== undefined) add(next, `${item.name.text}.`)
  }
  return names
}

function reportUnused(files: Files, draft: Draft, names: Linked['programNames']): void {
  const text = files.main.span.source.text
  for (const item of importsOf(files.main)) {
    const next = target(files, files.main, item)
    if (next === undefined || draft.used.has(next)) continue
    const own = names.get(sourceOf(files.main))
    const programs = [...(own?.keys() ?? [])].filter((name) => name.startsWith(`${item.name.text}.`))
    if (programs.some((name) => text.includes(name))) continue
    draft.report(
      warning('S139', item.name.span, `the import \`${item.name.text}\` is not used`, {
        hint: `write \`use ${item.name.text}\` in the topology`,
      }),
    )
  }
}
