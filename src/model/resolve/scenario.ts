// One case of one scenario: variables filled in, steps and expectations read in the order of the file.
import type { ClaimLine, Expect, GuardableItem, Packet, Scenario, Word } from '../../syntax/ast.ts'
import type { Claim } from '../claim.ts'
import { mistakeIn } from '../diagnose.ts'
import type { CaseModel, Expectation, Subject } from '../model.ts'
import type { MapModel } from '../program.ts'
import { fill, fillWord, isConstant, type Lookup } from '../words/fill.ts'
import { type DeviceDraft, type Entities, readDevice } from '../world/entities.ts'
import { Hosts } from '../world/hosts.ts'
import { type CaseDraft, type PlainItem, standsIn } from './cases.ts'
import { readLine } from './claim.ts'
import { type Label, labelsOf, readSubject } from './labels.ts'
import { checkPresence } from './presence.ts'
import type { Scope } from './scope.ts'
import { readShared } from './shared.ts'
import { readStatement } from './statement.ts'
import { readStep, type StepsDraft } from './step.ts'
import { type WorldDraft, withMute, withVoices } from './world.ts'

/** What reading a case needs of its scenario and its world. */
export interface CaseContext {
  readonly scenario: Scenario
  readonly items: readonly PlainItem[]
  readonly world: WorldDraft
  readonly scope: Scope
  readonly maps: ReadonlyMap<string, MapModel>
}

/** Prepares the reading of a scenario's cases in one world. */
export function caseContext(scenario: Scenario, items: readonly PlainItem[], world: WorldDraft): CaseContext {
  const entities = withAddedDevices(world.entities, items, world.scope)
  const scope = entities === world.entities ? world.scope : { ...world.scope, entities }
  const maps = new Map<string, MapModel>()
  for (const program of world.programs)
    for (const [name, map] of program.maps) if (!maps.has(name)) maps.set(name, map)
  return { scenario, items, world, scope, maps }
}

/** Devices that a step makes are known to every place of the scenario. */
function withAddedDevices(entities: Entities, items: readonly PlainItem[], scope: Scope): Entities {
  const hosts = new Hosts(entities.hosts)
  for (const { item } of items) {
    if (item.kind !== 'on-host') continue
    const host = hosts.get(item.host.segments[0]?.text ?? '')
    if (host === undefined) continue
    const devices = new Map<string, DeviceDraft>(host.devices)
    for (const { item: added } of item.changes) {
      if (added.kind !== 'dev' || devices.has(added.name.text)) continue
      const reading = { nets: entities.nets, taken: new Set<number>(), report: scope.report }
      devices.set(added.name.text, readDevice(host.name, added, reading))
    }
    if (devices.size !== host.devices.size) hosts.set(host.name, { ...host, devices })
  }
  const same = [...hosts].every(([name, host]) => entities.hosts.get(name) === host)
  return same ? entities : { ...entities, hosts }
}

/** Reads one case. */
export function readCase(draft: CaseDraft, context: CaseContext): CaseModel {
  const { scenario, world } = context
  const labels = labelsIn(context, draft.id)
  const steps: StepsDraft = { steps: [], senders: new Set(), flows: new Map() }
  const expectations: Expectation[] = []
  for (const { item, cases } of context.items) {
    if (!standsIn(cases, draft.id)) continue
    readItem(item, { draft, context, labels, steps, expectations })
  }
  checkPresence(world.world, steps.steps, context.scope.report)
  const title = scenario.title === null ? scenario.name.text : fillWord(scenario.title, draft.lookup).text
  return {
    ...(draft.id === undefined ? {} : { id: draft.id }),
    span: draft.span,
    title,
    world: withMute(withVoices(world.world, steps.steps), steps.senders),
    steps: steps.steps,
    expectations,
  }
}

interface Reading {
  readonly draft: CaseDraft
  readonly context: CaseContext
  readonly labels: ReadonlyMap<string, Label>
  readonly steps: StepsDraft
  readonly expectations: Expectation[]
}

const allLabels = new WeakMap<readonly PlainItem[], readonly (Label & Pick<PlainItem, 'cases'>)[]>()

/** The labels that steps of this case declare; the list of the whole scenario is made once. */
function labelsIn({ items }: CaseContext, id: string | undefined): ReadonlyMap<string, Label> {
  let all = allLabels.get(items)
  if (all === undefined) {
    all = items.flatMap(({ item, cases }, index) =>
      isStep(item) ? labelsOf(item, index).map((label) => ({ ...label, cases })) : [],
    )
    allLabels.set(items, all)
  }
  const labels = new Map<string, Label>()
  for (const label of all) {
    if (standsIn(label.cases, id) && !labels.has(label.word.text)) labels.set(label.word.text, label)
  }
  return labels
}

const notSteps: readonly string[] = [
  'tags',
  'golden',
  'let',
  'expect',
  'invariant',
  'state',
  'map-claim',
  'metric',
  'counter',
]

export function isStep(item: GuardableItem): item is Parameters<typeof labelsOf>[0] {
  return !notSteps.includes(item.kind)
}

function readItem(item: GuardableItem, reading: Reading): void {
  const { context, draft } = reading
  const { lookup } = draft
  switch (item.kind) {
    case 'tags':
    case 'golden':
    case 'let':
      return
    case 'expect':
      readExpect(item, reading)
      return
    case 'invariant': {
      const subject: Subject = { kind: 'scenario', name: '', all: false, span: item.span }
      add(subject, lineClaims(item.line, lookup, context), reading)
      return
    }
    case 'state':
    case 'map-claim':
    case 'metric':
    case 'counter': {
      const subject: Subject = { kind: 'state', name: '', all: false, span: item.span }
      add(subject, readStatement(fill(item, lookup), context.maps, context.scope), reading)
      return
    }
    case 'continue':
      checkContinued(item.label, reading)
      readStep(fill(item, lookup), reading.steps, context.scope)
      return
    case 'packet': {
      const read = readShared(item, lookup, context.scope, readPacketAlone)
      reading.steps.steps.push(...read.steps)
      for (const sender of read.senders) reading.steps.senders.add(sender)
      return
    }
    default:
      readStep(fill(item, lookup), reading.steps, context.scope)
  }
}

/** A raw packet is the same whatever stands before it. */
function readPacketAlone(packet: Packet, scope: Scope): StepsDraft {
  const alone: StepsDraft = { steps: [], senders: new Set(), flows: new Map() }
  readStep(packet, alone, scope)
  return alone
}

function checkContinued(word: Word, reading: Reading): void {
  const label = reading.labels.get(word.text)
  if (label?.kind === 'flow') return
  const hint =
    label === undefined ? 'open it first with `NAME: tcp A > B:PORT { open }`' : 'it is a single packet'
  reading.context.scope.report(mistakeIn('S119', word, `no flow is called \`${word.text}\``, { hint }))
}

function readExpect(item: Expect, reading: Reading): void {
  const { context, draft, labels } = reading
  const subject = readSubject(fill(item.subject, draft.lookup), item.quantity, labels, context.scope)
  for (const line of item.lines) {
    if (!standsIn(guardOf(line), draft.id)) continue
    const claims = lineClaims(line, draft.lookup, context)
    if (subject !== undefined) add(subject, claims, reading)
  }
}

const guards = new WeakMap<ClaimLine, ReadonlySet<string>>()

function guardOf(line: ClaimLine): ReadonlySet<string> | undefined {
  if (line.cases.length === 0) return undefined
  const known = guards.get(line)
  if (known !== undefined) return known
  const made = new Set(line.cases.map((word) => word.text))
  guards.set(line, made)
  return made
}

const claimsRead = new WeakMap<Scope, WeakMap<ClaimLine, readonly Claim[]>>()

/** The claims of a line; a line without variables is read once for all cases of a world. */
function lineClaims(line: ClaimLine, lookup: Lookup, { scope }: CaseContext): readonly Claim[] {
  if (!isConstant(line)) return readShared(line, lookup, scope, readLine)
  const known = claimsRead.get(scope) ?? new WeakMap<ClaimLine, readonly Claim[]>()
  claimsRead.set(scope, known)
  const found = known.get(line)
  if (found !== undefined) return found
  const claims = readLine(line, scope)
  known.set(line, claims)
  return claims
}

function add(subject: Subject, claims: readonly Claim[], { steps, expectations }: Reading): void {
  const afterStep = steps.steps.length - 1
  for (const claim of claims) expectations.push({ subject, claim, afterStep, span: claim.span })
}
