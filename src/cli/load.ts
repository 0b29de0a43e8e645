// A spec with everything it imports: read, parsed, checked. All mistakes of all files come at once.
import type { Checked, Diagnostic } from '../base/diagnostic.ts'
import type { Source } from '../base/text.ts'
import { clusterKnowledge } from '../boot/clusters.ts'
import { deviceRefusals } from '../boot/device-refusals.ts'
import { routeRefusals } from '../boot/route-refusals.ts'
import { rulesetMistakes } from '../boot/rulesets.ts'
import { xdpRefusals } from '../boot/xdp-refusals.ts'
import { addedIn, check, importPath } from '../model/check.ts'
import type { Model } from '../model/model.ts'
import { showRefusals } from '../run/show-refusals.ts'
import type { File } from '../syntax/ast.ts'
import { parse } from '../syntax/parse.ts'
import { filesLike, readText } from './files.ts'

/** What kernels refuse, asked of a checked model. */
const refusals = [deviceRefusals, xdpRefusals, routeRefusals]

/** Loads a spec by its path. A file that cannot be read is a diagnostic without a place of its own. */
export function load(cwd: string, path: string): Checked<Model> {
  const source = readText(cwd, path)
  if ('problem' in source) return { ok: false, diagnostics: [unreadable(path, source.problem)] }
  const parsed = parse(source)
  if (!parsed.ok) return parsed
  const imports = new Map<string, File>([[path, parsed.value]]) // a circle of imports leads back to this tree
  const problems: Diagnostic[] = []
  follow(cwd, parsed.value, path, imports, problems)
  if (problems.length > 0) return { ok: false, diagnostics: [...parsed.diagnostics, ...problems] }
  const manifests = manifestFiles(cwd, [parsed.value, ...imports.values()])
  const checked = check({ main: parsed.value, imports, manifests }, rulesetMistakes, clusterKnowledge)
  const diagnostics = [...parsed.diagnostics, ...checked.diagnostics]
  const refused = checked.ok ? refusals.flatMap((refusal) => refusal(checked.value)) : []
  // what a file shows is tried on its worlds, so they must boot
  if (checked.ok && refused.length === 0) refused.push(...showRefusals(checked.value))
  if (refused.length > 0) return { ok: false, diagnostics: [...diagnostics, ...refused] }
  return { ...checked, diagnostics }
}

/** The files that `manifest "deploy/*.yaml"` names, by the path beside the file that says it. */
function manifestFiles(cwd: string, files: readonly File[]): ReadonlyMap<string, readonly Source[]> {
  const found = new Map<string, readonly Source[]>()
  for (const file of files) {
    const nested = file.items.flatMap((item) => (item.kind === 'topology' ? item.items : []))
    const applied = file.items.flatMap((item) => (item.kind === 'scenario' ? addedIn(item) : []))
    for (const item of [...file.items, ...nested, ...applied]) {
      if (item.kind !== 'manifest' || item.text.form === 'block') continue
      const path = importPath(file.span.source.name, item.text.text)
      const sources = filesLike(cwd, path).map((name) => readText(cwd, name))
      found.set(path, sources.filter((each) => !('problem' in each)) as readonly Source[])
    }
  }
  return found
}

/** Parses what a file imports, and what that imports; a missing file is left to the checks, which know its place. */
function follow(
  cwd: string,
  file: File,
  path: string,
  imports: Map<string, File>,
  problems: Diagnostic[],
): void {
  for (const item of file.items) {
    if (item.kind !== 'import') continue
    const name = importPath(path, item.path.text)
    if (imports.has(name)) continue
    const source = readText(cwd, name)
    if ('problem' in source) continue
    const parsed = parse(source)
    if (!parsed.ok) {
      problems.push(...parsed.diagnostics)
      continue
    }
    imports.set(name, parsed.value)
    follow(cwd, parsed.value, name, imports, problems)
  }
}

function unreadable(path: string, problem: string): Diagnostic {
  const source: Source = { name: path, text: '' }
  return {
    code: 'F001',
    severity: 'error',
    span: { source, start: 0, end: 0 },
    message: `\`${path}\` cannot be read: ${problem}`,
  }
}
