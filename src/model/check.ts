// Tree to model. Enters: a parsed file and what it imports; leaves: scenarios in which every name is resolved, every
// address lies in its subnet and every case of a table is written out, or every mistake of the files at once. Warnings
// stand beside a model; the constructs whose engine does not exist yet are among them.
//
// The way: link the files, check what the text alone can tell, then read each world once and each case in its world. A
// rule about one value is in the reader of that value (resolve/, words/); a rule about several things is a file of checks/.

import type { Checked, Diagnostic, Report } from '../base/diagnostic.ts'
import type { Scenario, TopologyItem } from '../syntax/ast.ts'
import { addressesInUse } from './checks/addresses-in-use.ts'
import { attachmentsFit } from './checks/attachments-fit.ts'
import { caseTables } from './checks/case-tables.ts'
import { ciliumClusters } from './checks/cilium-clusters.ts'
import { clusterWords } from './checks/cluster-words.ts'
import { devicesAreWhole } from './checks/devices-are-whole.ts'
import { engineMissing } from './checks/engine-missing.ts'
import { entriesDiffer } from './checks/entries-differ.ts'
import { expectationsFollow } from './checks/expectations-follow.ts'
import { guardsName } from './checks/guards-name-cases.ts'
import { hostsAndNets } from './checks/hosts-and-nets.ts'
import { listensFit } from './checks/listens-fit.ts'
import { namesAreUnique } from './checks/names-are-unique.ts'
import { pinsAgree } from './checks/pins-agree.ts'
import { plainClusters } from './checks/plain-clusters.ts'
import { programActions } from './checks/program-actions.ts'
import { programCodes } from './checks/program-codes.ts'
import { programMaps } from './checks/program-maps.ts'
import { programValues } from './checks/program-values.ts'
import { programsAreUsed } from './checks/programs-are-used.ts'
import type { TextCheck, WorldCheck } from './checks/rule.ts'
import { changedRulesetsParse, rulesetsParse } from './checks/rulesets-parse.ts'
import { scenariosDoSomething } from './checks/scenarios-do-something.ts'
import { variablesAreKnown } from './checks/variables-are-known.ts'
import { vethPairs } from './checks/veth-pairs.ts'
import { xdpAttaches } from './checks/xdp-attaches.ts'
import { type ClusterKnowledge, type ClusterPlanner, knowNothing } from './cluster.ts'
import { once } from './diagnose.ts'
import type { Model, ScenarioModel } from './model.ts'
import { type CaseDraft, itemsOf, readCases } from './resolve/cases.ts'
import { type CaseContext, caseContext, readCase } from './resolve/scenario.ts'
import type { ManifestScope } from './resolve/scope.ts'
import { readWorld, type WorldDraft } from './resolve/world.ts'
import { type RulesetReader, readNoRulesets } from './ruleset.ts'
import { fill, type Lookup, variablesIn } from './words/fill.ts'
import { readEntities } from './world/entities.ts'
import { type Files, type Linked, link } from './world/link.ts'
import { manifestPods, manifestsOf, manifestTexts } from './world/manifests.ts'

export { type Files, importPath } from './world/link.ts'

const textChecks: readonly TextCheck[] = [
  namesAreUnique,
  caseTables,
  guardsName,
  variablesAreKnown,
  expectationsFollow,
  scenariosDoSomething,
  programsAreUsed,
]

const worldChecks: readonly WorldCheck[] = [
  hostsAndNets,
  devicesAreWhole,
  vethPairs,
  addressesInUse,
  entriesDiffer,
  attachmentsFit,
  xdpAttaches,
  programCodes,
  programActions,
  programMaps,
  pinsAgree,
  programValues,
  clusterWords,
  listensFit,
  plainClusters,
  engineMissing,
]

/**
 * Checks a file with its imports. All mistakes are reported, in the order of the text. `readRulesets` finds the mistakes in
 * texts of other tools (`iptables`, `ipset`); without it they are accepted as they are. `clusters` knows what manifests,
 * plugins and agents are.
 */
export function check(
  files: Files,
  readRulesets: RulesetReader = readNoRulesets,
  clusters: ClusterKnowledge = knowNothing,
): Checked<Model> {
  const diagnostics: Diagnostic[] = []
  const report = once((diagnostic) => diagnostics.push(diagnostic))
  const linked = link(files, report)
  for (const rule of textChecks) rule(linked, report)
  const isSound = (): boolean => diagnostics.every(({ severity }) => severity !== 'error')
  const plan: ClusterPlanner = (world) => (isSound() ? clusters.plan(world) : world)
  const rules = [...worldChecks, rulesetsParse(readRulesets), ciliumClusters(clusters)]
  const worlds = worldsOf({ linked, files }, report, { rules, plan, readManifest: clusters.readManifest })
  const scenarios = linked.scenarios.map((scenario) => readScenario(scenario, worlds))
  for (const { cases } of scenarios)
    for (const each of cases) changedRulesetsParse(each, readRulesets, report)
  // A file of libraries has no scenario; its topology is looked at all the same.
  if (linked.scenarios.length === 0) worlds(() => undefined)
  diagnostics.sort((left, right) => inOrder(left, right, files))
  if (diagnostics.some((each) => each.severity === 'error')) return { ok: false, diagnostics }
  const doc = files.main.items.find((item) => item.kind === 'doc')?.text.text ?? ''
  const unavailable = diagnostics.filter((each) => each.code === 'S190')
  return { ok: true, value: { source: files.main.span.source, doc, scenarios, unavailable }, diagnostics }
}

/** The main file first, then imports by name; in a file by place. */
function inOrder(left: Diagnostic, right: Diagnostic, { main }: Files): number {
  const [a, b] = [left.span.source, right.span.source]
  if (a.name !== b.name) {
    if (a === main.span.source) return -1
    if (b === main.span.source) return 1
    return a.name < b.name ? -1 : 1
  }
  return left.span.start - right.span.start || left.span.end - right.span.end
}

/** What steps of a scenario add to the world. */
export function addedIn(scenario: Scenario): readonly TopologyItem[] {
  return itemsOf(scenario).flatMap(({ item }) => (item.kind === 'add' ? [item.item] : []))
}

/** Gives the world for the values of a case. Cases whose values do not reach into the topology share one. */
function worldsOf(
  { linked, files }: { readonly linked: Linked; readonly files: Files },
  report: Report,
  known: {
    readonly rules: readonly WorldCheck[]
    readonly plan: ClusterPlanner
    readonly readManifest: ClusterKnowledge['readManifest']
  },
): (lookup: Lookup) => WorldDraft {
  const made = new Map<string, WorldDraft>()
  const variables = new Set<string>()
  const added = linked.scenarios.flatMap(addedIn)
  for (const node of [linked.topology, linked.manifests, added, linked.programs.map((each) => each.syntax)]) {
    for (const part of variablesIn(node)) variables.add(part.name)
  }
  return (lookup) => {
    const key = JSON.stringify([...variables].map((name) => lookup(name)?.text ?? null))
    const found = made.get(key)
    if (found !== undefined) return found
    const written = fill(linked.topology, lookup)
    const manifests = manifestsOf(fill(linked.manifests, lookup), written, files)
    const isCilium = written.some((item) => item.kind === 'cluster' && item.type === 'cilium')
    const items = isCilium ? [...written, ...manifestPods(manifests, written, known.readManifest)] : written
    const coming = fill(added, lookup)
    const late = coming.filter((item) => item.kind === 'pod')
    const applied = isCilium ? manifestsOf([], coming, files) : []
    const all = [...manifests, ...applied]
    const podsApplied = isCilium ? manifestPods(all, [...items, ...late], known.readManifest) : []
    const entities = readEntities(linked, items, report, [...late, ...podsApplied])
    const policies = [...written, ...coming].flatMap((item) =>
      item.kind === 'policy' ? [`default/${item.name.text}`] : [],
    )
    const named = all.flatMap(({ text }) =>
      known.readManifest(text).objects.flatMap(({ kind, name }) => (kind.endsWith('Policy') ? [name] : [])),
    )
    const ofCluster: ManifestScope = {
      texts: (item) => manifestTexts(item, files),
      read: known.readManifest,
      world: manifests,
      policies: new Set([...policies, ...named]),
    }
    const programs = linked.programs.map(({ name, syntax }) => ({ name, syntax: fill(syntax, lookup) }))
    const read = readWorld(
      { entities, report, ...(isCilium ? { manifests: ofCluster } : {}) },
      programs,
      manifests,
      applied,
    )
    for (const rule of known.rules) rule(read, report)
    const world = { ...read, world: known.plan(read.world) }
    made.set(key, world)
    return world
  }
}

function readScenario(scenario: Scenario, worlds: (lookup: Lookup) => WorldDraft): ScenarioModel {
  const items = itemsOf(scenario)
  const contexts = new Map<WorldDraft, CaseContext>()
  const contextFor = (draft: CaseDraft): CaseContext => {
    const world = worlds(draft.lookup)
    const known = contexts.get(world) ?? caseContext(scenario, items, world)
    contexts.set(world, known)
    return known
  }
  const tags = items.flatMap(({ item }) => (item.kind === 'tags' ? item.tags.map((tag) => tag.text) : []))
  const golden = items.find(({ item }) => item.kind === 'golden')?.item
  return {
    name: scenario.name.text,
    span: scenario.name.span,
    tags,
    golden: golden?.kind === 'golden' ? golden.level : 'hops',
    cases: readCases(scenario, items).map((draft) => readCase(draft, contextFor(draft))),
  }
}
