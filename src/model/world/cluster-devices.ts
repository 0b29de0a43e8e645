// Names and addresses of the devices that a CNI plugin will make, so that places and frames can name them. On a real node
// most of these names are hashes; here they are made of the pod's name.

import { type Mac, macFrom } from '../../net/mac.ts'
import type { Cluster, Pod } from '../../syntax/ast.ts'
import { type ClusterCni, clusterCnis } from '../cluster.ts'
import { optionValue } from '../words/options.ts'
import { deriveMac } from './derive.ts'
import type { DeviceDraft, HostDraft } from './entities.ts'

/** The plugin of a cluster that can be carried out: `cluster none` with one that is known. */
export function clusterCni(clusters: readonly Cluster[]): ClusterCni | undefined {
  const [cluster] = clusters
  if (cluster?.type !== 'none') return undefined
  const options = cluster.items.filter((item) => item.kind === 'option')
  const word = optionValue(options, 'cni')?.text ?? 'bridge'
  return clusterCnis.find((each) => each === word)
}

/** IFNAMSIZ without its final zero. */
const nameLengthMax = 15

/** `veth-web`, `cali-web`; a long name keeps its start and gets four digits of its own. */
export function hostDeviceOf(cni: ClusterCni, pod: string): string {
  const name = `${cni === 'calico' ? 'cali' : 'veth'}-${pod}`
  if (name.length <= nameLengthMax) return name
  const digits = deriveMac(pod, new Set()).toString(16).slice(-4)
  return `${name.slice(0, nameLengthMax - 5)}-${digits}`
}

const nodeDevices: Readonly<Record<ClusterCni, readonly string[]>> = {
  bridge: ['cni0'],
  flannel: ['cni0', 'flannel.1', 'flannel-v6.1'],
  calico: ['vxlan.calico', 'vxlan-v6.calico', 'tunl0'],
}

/** Calico gives the same address to the host's end of every pair. */
const calicoMac = macFrom(0xeeee_eeee_eeee)

/** Adds drafts of the plugin's devices to nodes and pods. */
export function addClusterDevices(
  hosts: ReadonlyMap<string, HostDraft>,
  { clusters, pods }: { readonly clusters: readonly Cluster[]; readonly pods: readonly Pod[] },
  taken: Set<number>,
): void {
  const cni = clusterCni(clusters)
  if (cni === undefined) return
  const add = (
    host: HostDraft,
    name: string,
    rest: Pick<DeviceDraft, 'peer'> & { readonly mac?: Mac },
  ): void => {
    if (host.devices.has(name)) return
    const draft: DeviceDraft = {
      host: host.name,
      name,
      kind: 'unavailable',
      syntax: undefined,
      net: undefined,
      addresses: [],
      isMisread: false,
      options: [],
      mac: rest.mac ?? deriveMac(`${host.name}/${name}`, taken),
      peer: rest.peer,
      span: host.word.span,
    }
    host.devices.set(name, draft)
  }
  for (const host of hosts.values()) {
    if (host.kind !== 'node') continue
    for (const name of nodeDevices[cni]) add(host, name, { peer: undefined })
  }
  for (const pod of pods) {
    const host = hosts.get(pod.node.text)
    const own = hosts.get(pod.name.text)
    const eth0 = own?.devices.get('eth0')
    if (host?.kind !== 'node' || own === undefined || eth0 === undefined) continue
    const name = hostDeviceOf(cni, pod.name.text)
    const peer = { host: pod.name.text, device: 'eth0', word: pod.name }
    add(host, name, cni === 'calico' ? { peer, mac: calicoMac } : { peer })
    own.devices.set('eth0', { ...eth0, peer: { host: host.name, device: name, word: pod.node } })
  }
}
