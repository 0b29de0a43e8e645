// Steps that change what stands: devices, hosts, pods, settings, tables; and what is asked of a host.
import type { Delete, Link, OnHost, Option, Place, Restart, SetStep, Show, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { macIn } from '../words/addresses.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { sysctlIn } from '../words/sysctls.ts'
import { podConnection } from '../world/cluster-devices.ts'
import type { HostDraft } from '../world/entities.ts'
import { bringBack, deletePolicy, pushChange, setLabels, uniqueTitle } from './cluster-step.ts'
import { readChange } from './host-change.ts'
import { readPlace } from './place.ts'
import { deviceNamed, hostNamed, isMadeByAgent, type Scope } from './scope.ts'
import type { StepsDraft } from './step.ts'
import { notYet } from './unavailable.ts'

/** A pod whose cluster has no engine yet. */
function isUnconnected(host: HostDraft, { entities }: Scope): boolean {
  return host.kind === 'pod' && podConnection(entities.clusters) === undefined
}

export function readLink({ device, state, span }: Link, draft: StepsDraft, scope: Scope): void {
  const at = readDevicePlace(device, scope)
  if (at !== undefined) draft.steps.push({ kind: 'link', ...at, up: state === 'up', span })
}

/** `n1/eth0` as a namespace and a device that exists there. */
export function readDevicePlace(
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

export function readDelete(step: Delete, draft: StepsDraft, scope: Scope): void {
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

export function readSet(step: SetStep, draft: StepsDraft, scope: Scope): void {
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

export function readShow({ host: place, command }: Show, draft: StepsDraft, scope: Scope): void {
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

export function readOnHost(step: OnHost, draft: StepsDraft, scope: Scope): void {
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

/** `restart`: only agents do; a pod that comes `back` needs one. */
export function readRestart(step: Restart, draft: StepsDraft, scope: Scope): void {
  if (podConnection(scope.entities.clusters) === 'cilium' && bringBack(step, draft, scope)) return
  if (step.what === 'back') notYet(step.span, 'bringing a pod back without Cilium', scope.report)
  else notYet(step.span, `restarting a ${step.what}`, scope.report)
}
