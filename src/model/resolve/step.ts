// Steps: what happens between the expectations, in the order of the file, repeats written out.
import type { Packet, Step as StepSyntax, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { FlowOperation, FlowStep, Step } from '../step.ts'
import { fill } from '../words/fill.ts'
import { durationIn, numberIn, ranges } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'
import {
  readDelete,
  readDevicePlace,
  readLink,
  readOnHost,
  readRestart,
  readSet,
  readShow,
} from './change-step.ts'
import { readAdd, rotateKey } from './cluster-step.ts'
import { readFlow, readOperations } from './flow.ts'
import { readFrame } from './packet.ts'
import { readReach } from './reach.ts'
import { readRun } from './run-step.ts'
import type { Scope } from './scope.ts'
import { notYet } from './unavailable.ts'

/** What reading the steps of a case gathers. */
export interface StepsDraft {
  readonly steps: Step[]
  /** Hosts that raw packets claim to come from. */
  readonly senders: Set<string>
  readonly flows: Map<string, FlowStep>
}

/** Reads one kind of statement; `index` is the number inside a repeat. */
type Reader<K extends StepSyntax['kind']> = (
  step: Extract<StepSyntax, { kind: K }>,
  draft: StepsDraft,
  scope: Scope,
  index: number | undefined,
) => void

const readers: { readonly [K in StepSyntax['kind']]: Reader<K> } = {
  packet: readPacket,
  flow: readFlowStep,
  continue: readContinue,
  repeat: readRepeat,
  wait: readWait,
  link: readLink,
  delete: readDelete,
  set: readSet,
  'on-host': readOnHost,
  choose: ({ span }, _, { report }) => notYet(span, 'choosing a backend', report),
  scale: ({ span }, _, { report }) => notYet(span, 'scaling a deployment', report),
  show: readShow,
  'rotate-key': rotateKey,
  run: readRun,
  reach: readReach,
  restart: readRestart,
  add: readAdd,
}

/** Reads one statement; `index` is the number inside a repeat. Checking reads only the ends of a repeat. */
export function readStep(step: StepSyntax, draft: StepsDraft, scope: Scope, index?: number): void {
  const reader = readers[step.kind] as Reader<StepSyntax['kind']>
  reader(step, draft, scope, index)
}

function readFlowStep(
  step: Extract<StepSyntax, { kind: 'flow' }>,
  draft: StepsDraft,
  scope: Scope,
  index: number | undefined,
): void {
  const flow = readFlow(step, nameOf(step.label, index), scope)
  if (flow === undefined) return
  draft.flows.set(flow.label, flow)
  draft.steps.push(flow)
}

function readWait(step: Extract<StepSyntax, { kind: 'wait' }>, draft: StepsDraft, { report }: Scope): void {
  const duration = durationIn(step.duration, report)
  if (duration !== undefined) draft.steps.push({ kind: 'wait', duration, span: step.span })
}

function nameOf(label: Word, index: number | undefined): string {
  return index === undefined ? label.text : `${label.text}[${index}]`
}

const count = { what: 'a number of packets', min: 1, max: 10_000 } as const

function readPacket(step: Packet, draft: StepsDraft, scope: Scope, index: number | undefined): void {
  const at = readDevicePlace(step.at, scope)
  const device = at && scope.entities.hosts.get(at.namespace)?.devices.get(at.device)
  const read = readFrame(step, device, scope)
  const options = step.content.kind === 'short' ? step.content.options : []
  const mark = options.find((option) => option.name === 'mark')
  if (mark !== undefined) notYet(mark.span, 'a mark on a frame from the wire', scope.report)
  const word = optionValue(options, 'count')
  const copies = word === undefined ? undefined : numberIn(word, count, scope.report)
  if (at === undefined || read === undefined) return
  if (read.sender !== undefined) draft.senders.add(read.sender)
  const label = step.label.text
  const base = { kind: 'packet', label, frame: read.frame, ...at, span: step.label.span } as const
  if (copies === undefined) draft.steps.push({ ...base, name: nameOf(step.label, index) })
  else for (let i = 1; i <= copies; i += 1) draft.steps.push({ ...base, name: `${label}[${i}]` })
}

function readContinue(
  step: Extract<StepSyntax, { kind: 'continue' }>,
  draft: StepsDraft,
  scope: Scope,
  index: number | undefined,
): void {
  const { label } = step
  const flow = draft.flows.get(nameOf(label, index)) ?? draft.flows.get(label.text)
  const operations: readonly FlowOperation[] = readOperations(
    step.operations,
    undefined,
    flow?.protocol ?? 'tcp',
    scope,
  )
  if (flow !== undefined) draft.steps.push({ ...flow, first: false, operations, span: label.span })
}

function readRepeat(
  step: Extract<StepSyntax, { kind: 'repeat' }>,
  draft: StepsDraft,
  scope: Scope,
  outer: number | undefined,
): void {
  const first = numberIn(step.first, ranges.repeat, scope.report)
  const last = numberIn(step.last, ranges.repeat, scope.report)
  if (first === undefined || last === undefined) return
  if (outer !== undefined) {
    scope.report(
      mistake('S138', step.variable.span, 'a repeat stands in another one', {
        hint: 'one index is all that a name has',
      }),
    )
    return
  }
  if (last < first || last - first >= 100_000) {
    const hint =
      last < first ? `did you mean \`${step.last.text}..${step.first.text}\`?` : 'at most 100000 times'
    scope.report(mistakeIn('S108', step.last, `a repeat cannot go from ${first} to ${last}`, { hint }))
    return
  }
  for (let index = first; index <= last; index += 1) {
    const text = String(index)
    const items = fill(step.steps, (name) =>
      name === step.variable.text ? { text, form: 'bare' } : undefined,
    )
    for (const item of items) readStep(item, draft, scope, index)
  }
}
