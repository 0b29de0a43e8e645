// Carrying out the steps of a case, one after the other.

import { present } from '../base/assert.ts'
import { bootQdisc, createDevice, joinBridge } from '../boot/boot.ts'
import { changeCilium } from '../boot/cilium-change.ts'
import {
  addEntry,
  addFdb,
  addRouteModel,
  addRuleModel,
  removeEntry,
  removeFdb,
  removeRouteModel,
  removeRuleModel,
} from '../boot/host-items.ts'
import { startListener, stopListeners } from '../boot/listeners.ts'
import { withoutPod, withPod } from '../boot/pods.ts'
import { deviceOf, namespaceOf } from '../boot/resolved.ts'
import { changeRules } from '../boot/rulesets.ts'
import { born } from '../kernel/birth.ts'
import { setPortFlags } from '../kernel/device/bridge.ts'
import { type AdminResult, adminDone, setDown, setMac, setMtu, setUp } from '../kernel/device/change.ts'
import { emptyNamespace, removeDevice } from '../kernel/device/remove.ts'
import { addAddress, removeAddress } from '../kernel/ip/admin-address.ts'
import { receive } from '../kernel/receive.ts'
import { skbFromFrame } from '../kernel/skb.ts'
import { failed } from '../kernel/socket/errno.ts'
import type { FlowStep, HostChange, Step } from '../model/step.ts'
import { answer, complaint } from './answer.ts'
import { begin } from './begin.ts'
import type { Conversation } from './conversation.ts'
import { DnsConversation } from './dns-conversation.ts'
import { DnsStreamConversation } from './dns-stream-conversation.ts'
import type { FlowResult } from './expect/context.ts'
import { HttpConversation } from './http-conversation.ts'
import { PingConversation } from './ping-conversation.ts'
import { takeReach } from './reach.ts'
import { answerTo, changeTitle } from './refused-change.ts'
import type { Run } from './run-state.ts'
import { TcpConversation } from './tcp-conversation.ts'
import { UdpConversation } from './udp-conversation.ts'

/** Takes one step and everything that follows from it at the same moment. */
export function takeStep(run: Run, step: Step): void {
  const { machine } = run
  switch (step.kind) {
    case 'packet': {
      const dev = deviceOf(namespaceOf(machine, step.namespace), step.device)
      const skb = skbFromFrame(dev, step.frame)
      born(skb, step.name)
      receive(dev, skb)
      break
    }
    case 'flow':
      takeFlow(run, step)
      break
    case 'wait':
      run.pass(step.duration)
      break
    case 'link': {
      const dev = deviceOf(namespaceOf(machine, step.namespace), step.device)
      if (step.up) setUp(dev)
      else setDown(dev)
      break
    }
    case 'delete':
      takeDelete(run, step)
      break
    case 'add-pod': {
      if (run.cluster === undefined) break
      const { cluster, listeners } = withPod(machine, run.cluster, step.name)
      run.cluster = cluster
      run.listeners.push(...listeners)
      break
    }
    case 'cluster':
      takeClusterChange(run, step)
      break
    case 'set': {
      const dev = deviceOf(namespaceOf(machine, step.namespace), step.device)
      if (step.mtu !== undefined) setMtu(dev, step.mtu)
      if (step.mac !== undefined) setMac(dev, step.mac)
      const { hairpin, isolated } = step
      if (hairpin !== undefined) setPortFlags(dev, { hairpin })
      if (isolated !== undefined) setPortFlags(dev, { isolated })
      break
    }
    case 'change':
      takeChange(run, step.change)
      break
    case 'run':
      takeJob(run, step)
      break
    case 'show':
      takeShow(run, step)
      break
    case 'reach':
      takeReach(run, step, { copy: () => copyOf(run, step), take: resultOf })
      break
  }
  run.settle()
}

/** The world as it is at a step, once more: a run is a function of its case and seed. Steps that only look are left out. */
function copyOf({ model, machine }: Run, until: Step): Run {
  const copy = begin(model, { seed: machine.seed, full: false })
  for (const step of model.steps) {
    if (step === until) break
    if (step.kind !== 'show' && step.kind !== 'reach') takeStep(copy, step)
  }
  return copy
}

/** Takes a flow; how it ended. */
function resultOf(run: Run, flow: FlowStep): FlowResult {
  takeFlow(run, flow)
  run.settle()
  return present(run.conversations.get(flow.label), 'a flow has begun').result()
}

/** What a step tells the agents of the cluster. */
function takeClusterChange(run: Run, { change, title }: Extract<Step, { readonly kind: 'cluster' }>): void {
  const { machine, booted, steps, listeners } = run
  if (booted.agents === undefined) return
  const changed = changeCilium(machine, booted.agents, change)
  listeners.push(...changed.listeners)
  steps.push({ title, packets: machine.trace?.packets.length ?? 0, nodes: changed.nodes })
}

/** What an agent does when it is asked; a job without anything to do is told as well. */
function takeJob(run: Run, { node, job, title }: Extract<Step, { readonly kind: 'run' }>): void {
  const { machine, booted, steps } = run
  const acts = booted.agents?.conntrack.get(node)?.does(job) ?? []
  steps.push({ title, packets: machine.trace?.packets.length ?? 0, nodes: [{ node, acts }] })
}

/** What a tool prints now becomes part of the trace; what it complains of as well. */
function takeShow(run: Run, { namespace, command, title }: Extract<Step, { readonly kind: 'show' }>): void {
  const shown = answer(run, namespace, command)
  const text = shown.kind === 'text' ? shown.text : complaint(shown)
  run.steps.push({
    title,
    packets: run.machine.trace?.packets.length ?? 0,
    nodes: [],
    shown: { node: namespace, text },
  })
}

/** A device or a namespace that goes away, with the far ends of its pairs; a pod's plugin takes its rules away. */
function takeDelete(run: Run, step: Extract<Step, { readonly kind: 'delete' }>): void {
  const ns = namespaceOf(run.machine, step.namespace)
  if (step.device !== undefined) {
    removeDevice(deviceOf(ns, step.device))
    return
  }
  emptyNamespace(ns)
  run.cluster = withoutPod(run.machine, run.cluster, step.namespace)
}

function takeFlow(run: Run, step: FlowStep): void {
  const known = step.first ? undefined : run.conversations.get(step.label)
  const conversation = known ?? start(run, step)
  run.conversations.set(step.label, conversation)
  for (const operation of step.operations) {
    conversation.operate(operation)
    if (run.limit !== undefined) return
  }
}

function start(run: Run, step: FlowStep): Conversation {
  switch (step.protocol) {
    case 'tcp':
      return new TcpConversation(run, step)
    case 'http':
      return new HttpConversation(run, step)
    case 'dns':
      return step.stream === true ? new DnsStreamConversation(run, step) : new DnsConversation(run, step)
    case 'udp':
      return new UdpConversation(run, step)
    case 'icmp':
      return new PingConversation(run, step)
  }
}

/** `on n1 { route ...; del neigh ...; sysctl ... }`. What the kernel refuses changes nothing, and the golden says so. */
function takeChange(run: Run, change: HostChange): void {
  const said = answerTo(change, makeChange(run, change) ?? adminDone)
  if (said === undefined) return
  const title = changeTitle(change)
  const same = run.steps.filter((step) => step.title === title || step.title.startsWith(`${title} #`)).length
  run.steps.push({
    title: same === 0 ? title : `${title} #${same + 1}`,
    packets: run.machine.trace?.packets.length ?? 0,
    nodes: [],
    shown: { node: change.namespace, text: said },
  })
}

/** Makes a change; what rtnetlink answered, for those that it is asked for. */
function makeChange(run: Run, change: HostChange): AdminResult | undefined {
  const ns = namespaceOf(run.machine, change.namespace)
  const { item, verb } = change
  const removes = verb === 'del'
  switch (item.kind) {
    case 'route':
      if (removes) return removeRouteModel(ns, item.route)
      return addRouteModel(ns, item.route, verb === 'replace' ? 'replace' : 'add')
    case 'rule':
      return removes ? removeRuleModel(ns, item.rule) : addRuleModel(ns, item.rule)
    case 'neigh':
      if (removes) return removeEntry(ns, item.neighbour)
      addEntry(ns, item.neighbour)
      return undefined
    case 'fdb':
      if (removes) return removeFdb(ns, item.fdb)
      addFdb(ns, item.fdb)
      return undefined
    case 'sysctl':
      ns.sysctls.set(item.key, item.value)
      return undefined
    case 'dev': {
      if (removes) {
        removeDevice(deviceOf(ns, item.device.name))
        return undefined
      }
      createDevice(run.machine, ns, item.device)
      const dev = deviceOf(ns, item.device.name)
      for (const { key, value } of item.device.sysctls) ns.sysctls.set(key, value)
      joinBridge(dev, item.device)
      bootQdisc(dev, item.device)
      if (item.device.up) setUp(dev)
      for (const prefix of item.device.addresses) addAddress(dev, prefix)
      return undefined
    }
    case 'addr': {
      const dev = deviceOf(ns, item.device)
      return removes ? removeAddress(dev, item.prefix) : addAddress(dev, item.prefix)
    }
    case 'ruleset':
      changeRules(ns, { verb, ruleset: item.ruleset })
      return undefined
    case 'listen': {
      if (removes) {
        run.listeners.splice(0, run.listeners.length, ...stopListeners(run.listeners, ns, item))
        return undefined
      }
      const started = startListener(ns, item)
      if (!failed(started)) run.listeners.push(started.ok)
      return undefined
    }
  }
}
