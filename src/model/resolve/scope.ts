// What the readers of a world need: who is there, and where to say what is wrong. Names are looked up here and nowhere
// else, so that every unknown name gets the same message.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { isOpen } from '../words/fill.ts'
import { clusterCni } from '../world/cluster-devices.ts'
import type { DeviceDraft, Entities, HostDraft } from '../world/entities.ts'

export interface Scope {
  readonly entities: Entities
  readonly report: Report
}

/** The host (node, netns, external or pod) of that name. */
export function hostNamed(word: Word, { entities, report }: Scope, text = word.text): HostDraft | undefined {
  const host = entities.hosts.get(text)
  if (host !== undefined || isOpen(word)) return host
  report(
    mistakeIn('S103', word, `nothing is called \`${text}\``, {
      hint: didYouMean(text, entities.hosts.keys()),
    }),
  )
  return undefined
}

/** The device of that name on a host; `lo` is on every host. */
export function deviceNamed(
  word: Word,
  host: HostDraft,
  { report }: Scope,
  text = word.text,
): DeviceDraft | 'lo' | undefined {
  const device = host.devices.get(text)
  if (device !== undefined) return device
  if (text === 'lo') return 'lo'
  if (isOpen(word)) return undefined
  report(
    mistakeIn('S103', word, `\`${host.name}\` has no device \`${text}\``, {
      hint: didYouMean(text, host.devices.keys()),
    }),
  )
  return undefined
}

/**
 * Whether a device of a host may be made by an agent or a CNI plugin rather than by the file: `n1/cilium_vxlan`,
 * `n1/lxc-web`, `n1/cni0`. What exactly they make is known when their engines exist.
 */
export function isMadeByAgent(host: HostDraft, device: string, { entities }: Scope): boolean {
  if (host.kind !== 'node' || entities.clusters.length === 0) return false
  if (clusterCni(entities.clusters) !== undefined) return false // its devices are known
  if (!entities.clusters.some((cluster) => cluster.type === 'cilium')) return true
  if (agentDevices.has(device)) return true
  const owner = device.startsWith('lxc-') ? entities.hosts.get(device.slice(4)) : undefined
  return owner?.kind === 'pod' && owner.node === host.name
}

const agentDevices: ReadonlySet<string> = new Set([
  'cilium_host',
  'cilium_net',
  'cilium_vxlan',
  'cilium_geneve',
  'cilium_wg0',
  'cilium_ipip4',
  'cilium_ipip6',
  'lxc_health',
])

/** The devices that a place on a host may name, for suggestions. */
export function deviceNames(host: HostDraft, { entities }: Scope): readonly string[] {
  const own = [...host.devices.keys(), 'lo']
  if (host.kind !== 'node' || !entities.clusters.some((cluster) => cluster.type === 'cilium')) return own
  const pods = entities.pods.filter((pod) => pod.node.text === host.name).map((pod) => `lxc-${pod.name.text}`)
  return [...own, ...agentDevices, ...pods]
}
