// Names and addresses of the devices that a CNI plugin will make, so that places and frames can name them. On a real node
// most of these names are hashes; here they are made of the pod's name.

import { type Mac, macFrom } from '../../net/mac.ts'
import type { Cluster, Pod } from '../../syntax/ast.ts'
import { type ClusterCni, clusterCnis } from '../cluster.ts'
import { isSet, optionValue } from '../words/options.ts'
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

/** Who connects pods: a CNI plugin or Cilium's agents; undefined where nobody does yet. */
export function podConnection(clusters: readonly Cluster[]): ClusterCni | 'cilium' | undefined {
  return clusters[0]?.type === 'cilium' ? 'cilium' : clusterCni(clusters)
}

/** IFNAMSIZ without its final zero. */
const nameLengthMax = 15

/** `veth-web`, `cali-web`; a long name keeps its start and gets four digits of its own. */
export function hostDeviceOf(cni: ClusterCni, pod: string): string {
  return deviceName(`${cni === 'calico' ? 'cali' : 'veth'}-${pod}`, pod)
}

/** `lxc-web`: the host's end of a pod's pair with Cilium, whose own names are hashes of the endpoint. */
export function ciliumDevice(pod: string): string {
  return deviceName(`lxc-${pod}`, pod)
}

/** The host's end of the health endpoint's pair. */
export const ciliumHealth = 'lxc_health'

function deviceName(name: string, pod: string): string {
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

/** A setting of the cluster by any of its names: the words behind it. */
function settingOf({ items }: Cluster, word: string, ...keys: readonly string[]): string | undefined {
  for (const item of items) {
    if (item.kind === 'option' && item.name === word) return item.values[0]?.text
    if (item.kind === 'setting' && keys.includes(item.key.text.replace(/^--/, ''))) return item.value.text
  }
  return undefined
}

function hasWireguard(cluster: Cluster): boolean {
  const type = settingOf(cluster, 'encryption', 'encryption.type')
  return type === 'wireguard' || settingOf(cluster, '', 'enable-wireguard') === 'true'
}

/** The devices that Cilium's agents will make on a node; the tunnel's by what the options say of it. */
function ciliumDevices(cluster: Cluster): readonly string[] {
  const own = ['cilium_net', 'cilium_host', ciliumHealth, ...(hasWireguard(cluster) ? ['cilium_wg0'] : [])]
  const routing = settingOf(cluster, 'routing', 'tunnelProtocol', 'tunnel-protocol', 'tunnel')
  const isNative =
    routing === 'native' ||
    routing === 'disabled' ||
    settingOf(cluster, '', 'routingMode', 'routing-mode') === 'native'
  if (
    isNative &&
    !isSet(
      cluster.items.filter((item) => item.kind === 'option'),
      'egress-gateway',
    )
  )
    return own
  return [...own, routing === 'geneve' ? 'cilium_geneve' : 'cilium_vxlan']
}

interface Adding {
  readonly hosts: ReadonlyMap<string, HostDraft>
  readonly pods: readonly Pod[]
  readonly taken: Set<number>
}

function addDevice(
  host: HostDraft,
  name: string,
  taken: Set<number>,
  rest: Pick<DeviceDraft, 'peer'> & { readonly mac?: Mac },
): void {
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

/** Adds drafts of the plugin's or the agents' devices to nodes and pods. */
export function addClusterDevices(
  hosts: ReadonlyMap<string, HostDraft>,
  { clusters, pods }: { readonly clusters: readonly Cluster[]; readonly pods: readonly Pod[] },
  taken: Set<number>,
): void {
  const [cluster] = clusters
  const adding: Adding = { hosts, pods, taken }
  const cni = clusterCni(clusters)
  if (cni !== undefined) {
    const mac = cni === 'calico' ? { mac: calicoMac } : {}
    addAll(adding, nodeDevices[cni], (pod) => hostDeviceOf(cni, pod), mac)
  } else if (cluster?.type === 'cilium') addAll(adding, ciliumDevices(cluster), ciliumDevice, {})
}

function addAll(
  { hosts, pods, taken }: Adding,
  names: readonly string[],
  deviceOf: (pod: string) => string,
  rest: { readonly mac?: Mac },
): void {
  for (const host of hosts.values()) {
    if (host.kind !== 'node') continue
    for (const name of names) addDevice(host, name, taken, { peer: undefined })
  }
  for (const pod of pods) {
    const host = hosts.get(pod.node.text)
    const own = hosts.get(pod.name.text)
    const eth0 = own?.devices.get('eth0')
    if (host?.kind !== 'node' || own === undefined || eth0 === undefined) continue
    const name = deviceOf(pod.name.text)
    addDevice(host, name, taken, { peer: { host: pod.name.text, device: 'eth0', word: pod.name }, ...rest })
    own.devices.set('eth0', { ...eth0, peer: { host: host.name, device: name, word: pod.node } })
  }
}
