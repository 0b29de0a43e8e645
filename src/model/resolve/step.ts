// Steps: what happens between the expectations, in the order of the file, repeats written out.
import type {
  Delete,
  Link,
  OnHost,
  Option,
  Packet,
  Place,
  SetStep,
  Show,
  Step as StepSyntax,
  Word,
} from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { FlowOperation, FlowStep, Step } from '../step.ts'
import { macIn } from '../words/addresses.ts'
import { fill } from '../words/fill.ts'
import { durationIn, numberIn, ranges } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'
import { sysctlIn } from '../words/sysctls.ts'
import { podConnection } from '../world/cluster-devices.ts'
import type { HostDraft } from '../world/entities.ts'
import {
  bringBack,
  deletePolicy,
  pushChange,
  readAdd,
  rotateKey,
  setLabels,
  uniqueTitle,
} from './cluster-step.ts'
import { readFlow, readOperations } from './flow.ts'
import { readChange } from './host-change.ts'
import { readFrame } from './packet.ts'
import { readPlace } from './place.ts'
import { readReach } from './reach.ts'
import { readRun } from './run-step.ts'
import { deviceNamed, hostNamed, isMadeByAgent, type Scope } from './scope.ts'
import { notYet } from './unavailable.ts'

/** What reading the steps of a case gathers. */
export interface StepsDraft {
  readonly steps: Step[]
  /** Hosts that raw packets claim to come from. */
  readonly senders: Set<string>
  readonly flows: Map<string, FlowStep>
}

/** Reads one statement; `index` is the number inside a repeat. Checking reads only the ends of a repeat. */
export function readStep(step: StepSyntax, draft: StepsDraft, scope: Scope, index?: number): void {
  const { report } = scope
  switch (step.kind) {
    case 'packet':
      readPacket(step, draft, scope, index)
      return
    case 'flow': {
      const flow = readFlow(step, nameOf(step.label, index), scope)
      if (flow !== undefined) push(draft, flow)
      return
    }
    case 'continue':
      readContinue(step.label, step, draft, scope, index)
      return
    case 'repeat':
      readRepeat(step, draft, scope, index)
      return
    case 'wait': {
      const duration = durationIn(step.duration, report)
      if (duration !== undefined) draft.steps.push({ kind: 'wait', duration, span: step.span })
      return
    }
    case 'link':
      readLink(step, draft, scope)
      return
    case 'delete':
      readDelete(step, draft, scope)
      return
    case 'set':
      readSet(step, draft, scope)
      return
    case 'on-host':
      readOnHost(step, draft, scope)
      return
    case 'choose':
      notYet(step.span, 'choosing a backend', report)
      return
    case 'scale':
      notYet(step.span, 'scaling a deployment', report)
      return
    case 'show':
      readShow(step, draft, scope)
      return
    case 'rotate-key':
      rotateKey(step, draft, scope)
      return
    case 'run':
      readRun(step, draft, scope)
      return
    case 'reach':
      readReach(step, draft, scope)
      return
    case 'restart':
      if (podConnection(scope.entities.clusters) === 'cilium' && bringBack(step, draft, scope)) return
      if (step.what === 'back') notYet(step.span, 'bringing a pod back without Cilium', report)
      else notYet(step.span, `restarting a ${step.what}`, report)
      return
    case 'add':
      readAdd(step, draft, scope)
  }
}

function readLink({ device, state, span }: Link, draft: StepsDraft, scope: Scope): void {
  const at = readDevicePlace(device, scope)
  if (at !== undefined) draft.steps.push({ kind: 'link', ...at, up: state === 'up', span })
}

function nameOf(label: Word, index: number | undefined): string {
  return index === undefined ? label.text : `${label.text}[${index}]`
}

function push(draft: StepsDraft, flow: FlowStep): void {
  draft.flows.set(flow.label, flow)
  draft.steps.push(flow)
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

/** `n1/eth0` as a namespace and a device that exists there. */
function readDevicePlace(
  place: Place,
  scope: Scope,
): { readonly namespace: string; readonly device: string } | undefined {
  const read = readPlace(place, scope)
  if (read === undefined) return undefined
  const { node, device, stage } = read.value
  const host = scope.entities.hosts.get(node)
  if (device !== undefined && stage === undefined) return { namespace: node, device }
  const example = host === undefined ? 'HOST/DEVICE' : `${node}/${[...host.devices.keys()][0] ?? 'DEVICE'}`
  scope.report(
    mistake('S118', place.span, 'a device is needed here', {
      hint: `write \`${device === undefined ? example : `${node}/${device}`}\``,
    }),
  )
  return undefined
}

function readContinue(
  label: Word,
  step: Extract<StepSyntax, { kind: 'continue' }>,
  draft: StepsDraft,
  scope: Scope,
  index: number | undefined,
): void {
  const flow = draft.flows.get(nameOf(label, index)) ?? draft.flows.get(label.text)
  const operations: readonly FlowOperation[] = readOperations(
    step.operations,
    undefined,
    flow?.protocol ?? 'tcp',
    scope,
  )
  if (flow !== undefined) draft.steps.push({ ...flow, first: false, operations, span: step.label.span })
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

/** A pod whose cluster has no engine yet. */
function isUnconnected(host: HostDraft, { entities }: Scope): boolean {
  return host.kind === 'pod' && podConnection(entities.clusters) === undefined
}

function readDelete(step: Delete, draft: StepsDraft, scope: Scope): void {
  const { target, what, span } = step
  const [first, second] = target.segments
  if (first === undefined) return
  if (what === 'policy' && podConnection(scope.entities.clusters) === 'cilium') {
    deletePolicy(step, draft, scope)
    return
  }
  if (what === 'service' || what === 'policy') {
    const known = what === 'service' ? scope.entities.services : scope.entities.policies
    if (!known.has(first.text))
      scope.report(mistakeIn('S103', first, `no ${what} is called \`${first.text}\``))
    return
  }
  const host = hostNamed(first, scope)
  if (host === undefined || isUnconnected(host, scope)) return
  if (scope.entities.hosts.nodeOf(first.text) !== undefined) {
    notYet(span, 'deleting a pod on the network of its host', scope.report)
    return
  }
  if (second === undefined) {
    if (host.kind === 'pod' && podConnection(scope.entities.clusters) === 'cilium') {
      pushChange(draft, { kind: 'delete-pod', pod: host.name }, `delete pod ${host.name}`, span)
      return
    }
    draft.steps.push({ kind: 'delete', namespace: host.name, span })
    return
  }
  if (isMadeByAgent(host, scope)) return
  if (deviceNamed(second, host, scope) !== undefined) {
    draft.steps.push({ kind: 'delete', namespace: host.name, device: second.text, span })
  }
}

function readSet(step: SetStep, draft: StepsDraft, scope: Scope): void {
  const [first, second] = step.target.segments
  if (first === undefined || first.text === 'cluster' || first.text === 'pod' || first.text === 'svc') return
  const host = hostNamed(first, scope)
  if (host === undefined || isUnconnected(host, scope)) return
  if (step.option.name === 'labels') {
    setLabels(step, host, draft, scope)
    return
  }
  const [word, value] = step.option.values
  if (step.option.name === 'sysctl' && word !== undefined && value !== undefined) {
    const settings = sysctlIn({ key: word, value }, { devices: host.devices.keys() }, scope.report)
    for (const each of settings) {
      const item = { kind: 'sysctl', key: each.key, value: each.value } as const
      draft.steps.push({
        kind: 'change',
        change: { namespace: host.name, verb: 'replace', item },
        span: step.span,
      })
    }
    return
  }
  if (second === undefined || word === undefined) {
    if (second !== undefined)
      notYet(step.option.span, `setting \`${step.option.name}\` of a running device`, scope.report)
    else
      scope.report(
        mistake('S118', step.target.span, 'a device is needed here', {
          hint: `write \`${host.name}/DEVICE\``,
        }),
      )
    return
  }
  setDevice(step, step.option, { host, second, word }, draft, scope)
}

function setDevice(
  step: SetStep,
  option: Option,
  { host, second, word }: { readonly host: HostDraft; readonly second: Word; readonly word: Word },
  draft: StepsDraft,
  scope: Scope,
): void {
  if (deviceNamed(second, host, scope) === undefined) return
  const base = { kind: 'set', namespace: host.name, device: second.text, span: step.span } as const
  if (option.name === 'mtu') {
    const mtu = numberIn(word, ranges.mtu, scope.report)
    if (mtu !== undefined) draft.steps.push({ ...base, mtu })
  } else if (option.name === 'mac') {
    const mac = macIn(word, scope.report)
    if (mac !== undefined) draft.steps.push({ ...base, mac })
  } else if (option.name === 'hairpin' || option.name === 'isolated') {
    const on = word.text === 'on' || word.text === 'true'
    draft.steps.push({ ...base, [option.name]: on })
  } else notYet(option.span, `setting \`${option.name}\` of a running device`, scope.report)
}

function readShow({ host: place, command }: Show, draft: StepsDraft, scope: Scope): void {
  const [first, second] = place.segments
  const host = first && hostNamed(first, scope)
  if (host === undefined || isUnconnected(host, scope)) return
  if (second !== undefined) {
    const hint = `write \`${host.name}\`, and the device into the command`
    scope.report(mistake('S118', place.span, 'a host is needed here', { hint }))
    return
  }
  const words = command.text.trim().replace(/\s+/g, ' ')
  const title = uniqueTitle(draft, `show ${host.name} ${words}`)
  draft.steps.push({ kind: 'show', namespace: host.name, command: words, title, span: command.span })
}

function readOnHost(step: OnHost, draft: StepsDraft, scope: Scope): void {
  const [first] = step.host.segments
  const host = first && hostNamed(first, scope)
  if (host === undefined || isUnconnected(host, scope)) return
  for (const change of step.changes) {
    for (const item of readChange(change, host, scope)) {
      draft.steps.push({
        kind: 'change',
        change: { namespace: host.name, verb: change.verb, item },
        span: change.span,
      })
    }
  }
}
