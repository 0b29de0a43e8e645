// A command that people know, answered for a namespace of a machine that runs: by the agent's own tools from its maps, by Hubble
// and `cilium monitor` from what its programs sent, by all others from the kernel.

import { present } from '../base/assert.ts'
import { closest } from '../base/closest.ts'
import { bpfObjectsOf } from '../boot/bpf-objects.ts'
import { readFlowFilter } from '../cilium/decode/hubble-filter.ts'
import { ciliumCommand, ciliumCommands, isCiliumTool } from '../cilium/show/command.ts'
import { monotonic } from '../kernel/clock.ts'
import * as kernel from '../kernel/show/command.ts'
import { type Shown, shown, unknown } from '../kernel/show/command-words.ts'
import { hubbleObserve, monitorOf, type Wanted } from './monitor.ts'
import type { Run } from './run-state.ts'
import type { DeviceName } from './simulate.ts'

/** Every form that is understood, and the first words of all. */
export const knownCommands: readonly string[] = [
  ...kernel.knownCommands,
  ...ciliumCommands,
  'cilium monitor',
  'hubble observe [--all|--last N] [FILTER...]',
]
export const knownTools: readonly string[] = [...kernel.knownTools, 'cilium', 'hubble']

/** What is understood of the tool that a command begins with, or the tool that was meant instead. */
export function formsNear(command: string): {
  readonly own: readonly string[]
  readonly near: string | undefined
} {
  const [tool = ''] = command.split(' ')
  const own = knownCommands.filter((form) => form.split(' | ').some((each) => each.split(' ')[0] === tool))
  return { own, near: own.length > 0 ? undefined : closest(tool, knownTools) }
}

/** What the command prints in the namespace now. */
export function answer(run: Run, namespace: string, command: string): Shown {
  const [tool = '', ...words] = command.trim().split(/\s+/)
  if (isCiliumTool(tool) || tool === 'hubble') return agentAnswer(run, namespace, [tool, ...words])
  const { world } = run.model
  const node = world.namespaces.find((host) => host.name === namespace)?.node ?? namespace
  const objects = bpfObjectsOf(run.booted, world, node)
  const ns = present(run.machine.namespaces.get(namespace), `namespace ${namespace} is there`)
  return kernel.showCommand(command, { ns, objects })
}

/** What is said where a command cannot be answered. */
export function complaint(told: Exclude<Shown, { readonly kind: 'text' }>): string {
  return told.kind === 'missing' ? told.message : `\`${told.word}\` is not understood`
}

function agentAnswer(run: Run, namespace: string, [tool, ...words]: readonly string[]): Shown {
  const { booted, machine } = run
  const node = booted.cilium?.nodes.get(namespace)
  if (booted.cilium === undefined || node === undefined)
    return { kind: 'missing', message: `no Cilium agent runs on ${namespace}` }
  const deviceName: DeviceName = (host, ifindex) =>
    machine.namespaces.get(host)?.devices.get(ifindex)?.name ?? String(ifindex)
  const seen = { packets: machine.trace?.packets ?? [], cilium: booted.cilium, deviceName, node: namespace }
  if (tool === 'hubble') return hubbleCommand(words, (last, wanted) => hubbleObserve(seen, last, wanted))
  if (words[0] === 'monitor') return words[1] === undefined ? shown(monitorOf(seen)) : unknown(words[1])
  return ciliumCommand(words, node, monotonic(machine.clock.now))
}

type Observe = (last: number, wanted: Wanted) => string

/** How many flows `hubble observe` shows unless it is told (hubble/pkg/defaults FlowPrintCount). */
const flowPrintCount = 20

function hubbleCommand([verb, ...words]: readonly string[], observe: Observe): Shown {
  if (verb !== 'observe') return unknown(verb ?? 'hubble')
  const filters: string[] = []
  let last = flowPrintCount
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (word === '--all') last = Number.POSITIVE_INFINITY
    else if (word === '--last') {
      at += 1
      if (!/^[1-9][0-9]*$/.test(words[at] ?? '')) return unknown(words[at] ?? word)
      last = Number(words[at])
    } else filters.push(word)
  }
  const filter = readFlowFilter(filters)
  switch (filter.kind) {
    case 'wrong':
      return unknown(filter.word)
    case 'conflict':
      return { kind: 'missing', message: filter.message }
    case 'filter':
      return shown(observe(last, filter.holds))
  }
}
