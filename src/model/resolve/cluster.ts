// `cluster none { cni flannel }` with its nodes and pods, resolved: options, ranges, addresses. What does not fit is said
// here; nothing is resolved for clusters of agents whose engines do not exist yet.
import { type IpAddress, type Ipv4, type Ipv6, isIpv4, isLinkLocal, sameIp } from '../../net/address.ts'
import { covers, formatPrefix, networkOf, type Prefix, prefixOf } from '../../net/prefix.ts'
import type { Cluster, HostPort, Pod } from '../../syntax/ast.ts'
import type { ClusterCni, ClusterModel, ClusterNodeModel, ClusterPodModel } from '../cluster.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { NamespaceModel } from '../model.ts'
import { addressIn, prefixIn } from '../words/addresses.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import { clusterCni, hostDeviceOf } from '../world/cluster-devices.ts'
import type { DeviceDraft, HostDraft } from '../world/entities.ts'
import type { Scope } from './scope.ts'
import { notYet } from './unavailable.ts'

/** The cluster, or undefined where there is none that a plugin connects. */
export function readCluster(
  scope: Scope,
  namespaces: ReadonlyMap<string, NamespaceModel>,
): ClusterModel | undefined {
  const { entities } = scope
  const [cluster] = entities.clusters
  const cni = clusterCni(entities.clusters)
  if (cluster === undefined || cni === undefined) return undefined
  const pods = entities.pods.flatMap((pod) => readPod(pod, cni, scope) ?? [])
  const late = entities.latePods.flatMap((pod) => {
    const read = readPod(pod, cni, scope)
    const host = namespaces.get(pod.name.text)
    return read === undefined || host === undefined ? [] : [{ pod: read, host }]
  })
  const all = [...pods, ...late.map(({ pod }) => pod)]
  const podCidr = readPodCidr(cluster, all, scope)
  const podCidr6 = readPodCidr6(cluster, all, scope)
  podsFit(all, four(podCidr, cni), scope)
  if (podCidr6 !== undefined) podsFit(all, six(podCidr6, cni), scope)
  const nodes = [...entities.hosts.values()].flatMap((host) => {
    const bare = host.kind === 'node' ? namespaces.get(host.name) : undefined
    return bare === undefined ? [] : [readNode(host, bare, all, cni)]
  })
  return {
    cni,
    routing: readRouting(cluster, cni, scope),
    masquerade: readMasquerade(cluster, cni),
    podCidr,
    ...(podCidr6 === undefined ? {} : { podCidr6 }),
    nodes,
    pods,
    late,
    span: cluster.span,
  }
}

function optionsOf(cluster: Cluster) {
  return cluster.items.filter((item) => item.kind === 'option')
}

const defaultRouting = { flannel: 'vxlan', calico: 'ipip', bridge: 'native' } as const
const knownRouting: Readonly<Record<ClusterCni, readonly string[]>> = {
  flannel: ['vxlan', 'native'],
  calico: ['ipip', 'vxlan', 'native'],
  bridge: ['native'],
}

/** How packets cross nodes, as each plugin's manifest says unless the file does. */
function readRouting(cluster: Cluster, cni: ClusterCni, { report }: Scope): ClusterModel['routing'] {
  const word = optionValue(optionsOf(cluster), 'routing')
  if (word === undefined) return defaultRouting[cni]
  const { text } = word
  if (knownRouting[cni].includes(text)) return text as ClusterModel['routing']
  const ways = knownRouting[cni].map((way) =>
    way === 'native' ? '`routing native`' : `\`routing tunnel ${way}\``,
  )
  report(mistakeIn('S137', word, `${cni} has no routing \`${text}\``, { hint: ways.join(' or ') }))
  return defaultRouting[cni]
}

/** flannel's and Calico's manifests masquerade what leaves the cluster; the bridge plugin does when it is told to. */
function readMasquerade(cluster: Cluster, cni: ClusterCni): boolean {
  const options = optionsOf(cluster)
  return optionOf(options, 'masquerade') === undefined ? cni !== 'bridge' : isSet(options, 'masquerade')
}

function readPod(pod: Pod, cni: ClusterCni, scope: Scope): ClusterPodModel | undefined {
  const draft = scope.entities.hosts.get(pod.name.text)
  const eth0 = draft?.devices.get('eth0')
  if (draft?.kind !== 'pod' || eth0 === undefined) return undefined
  const address6 = eth0.addresses.find(({ prefix }) => !isIpv4(prefix.address))
  const address = eth0.addresses.find(({ prefix }) => isIpv4(prefix.address))?.prefix.address
  if (address === undefined) {
    if (address6 !== undefined) notYet(address6.word.span, 'a pod without an IPv4 address', scope.report)
    else if (!eth0.isMisread)
      scope.report(
        mistake('S143', pod.name.span, `pod \`${pod.name.text}\` has no address`, {
          hint: `write it behind the node: \`pod ${pod.name.text} on ${pod.node.text} 10.244.1.10\``,
        }),
      )
    return undefined
  }
  return {
    name: pod.name.text,
    node: pod.node.text,
    address: address as Ipv4,
    ...(address6 === undefined ? {} : { address6: address6.prefix.address as Ipv6 }),
    mac: eth0.mac,
    hostDevice: hostDeviceOf(cni, pod.name.text),
    hostPorts: pod.items
      .filter((item) => item.kind === 'hostport')
      .flatMap((item) => readHostPort(item, scope) ?? []),
    span: pod.name.span,
  }
}

function readHostPort(item: HostPort, scope: Scope): ClusterPodModel['hostPorts'][number] | undefined {
  const port = numberIn(item.port, ranges.port, scope.report)
  const target = numberIn(item.target, ranges.port, scope.report)
  const address = item.address === null ? undefined : addressIn(item.address, scope.report)
  if (port === undefined || target === undefined || (item.address !== null && address === undefined))
    return undefined
  return { protocol: item.protocol ?? 'tcp', port, target, address: address as Ipv4 | undefined }
}

/** `pod-cidr` of a family. */
function givenCidr(cluster: Cluster, family: 4 | 6, scope: Scope): Prefix | undefined {
  const words = optionOf(optionsOf(cluster), 'pod-cidr')?.values ?? []
  const read = words.flatMap((word) => prefixIn(word, scope.report) ?? [])
  const found = read.find(({ address }) => isIpv4(address) === (family === 4))
  return found && networkOf(found)
}

/** `pod-cidr`, else the /16 around the first pod. */
function readPodCidr(cluster: Cluster, pods: readonly ClusterPodModel[], scope: Scope): Prefix {
  const [first] = pods
  return givenCidr(cluster, 4, scope) ?? networkOf(prefixOf(first?.address ?? (0x0af4_0000 as Ipv4), 16))
}

/** The range of IPv6, else the /48 around the first pod that has such an address; none without any. */
function readPodCidr6(cluster: Cluster, pods: readonly ClusterPodModel[], scope: Scope): Prefix | undefined {
  const first = pods.find(({ address6 }) => address6 !== undefined)?.address6
  return first === undefined ? undefined : (givenCidr(cluster, 6, scope) ?? networkOf(prefixOf(first, 48)))
}

const blockLength = {
  4: { flannel: 24, bridge: 24, calico: 26 },
  6: { flannel: 64, bridge: 64, calico: 122 },
} as const

/** The pods of a cluster as one family sees them. */
interface Family {
  readonly podCidr: Prefix
  readonly cni: ClusterCni
  readonly length: number
  readonly address: (pod: ClusterPodModel) => IpAddress | undefined
}

function four(podCidr: Prefix, cni: ClusterCni): Family {
  return { podCidr, cni, length: blockLength[4][cni], address: (pod) => pod.address }
}

function six(podCidr: Prefix, cni: ClusterCni): Family {
  return { podCidr, cni, length: blockLength[6][cni], address: (pod) => pod.address6 }
}

/** Pods lie in the cluster's range; with a bridge, those of one node in one range of the node. */
function podsFit(pods: readonly ClusterPodModel[], family: Family, scope: Scope): void {
  const { podCidr, cni } = family
  for (const pod of pods) {
    const address = family.address(pod)
    const word = scope.entities.hosts
      .get(pod.name)
      ?.devices.get('eth0')
      ?.addresses.find(({ prefix }) => address !== undefined && sameIp(prefix.address, address))?.word
    if (word === undefined || address === undefined) continue
    if (!covers(podCidr, address)) {
      const hint = `give the cluster a wider \`pod-cidr\`, or the pod an address in ${formatPrefix(podCidr)}`
      scope.report(mistakeIn('S105', word, `\`${word.text}\` is not in the cluster's range`, { hint }))
      continue
    }
    const [block] = blocksOf(
      pods.filter((other) => other.node === pod.node),
      family,
    )
    if (cni === 'calico' || block === undefined || covers(block, address)) continue
    scope.report(
      mistakeIn('S105', word, `\`${word.text}\` is not in the range of node \`${pod.node}\``, {
        hint: `the other pods of \`${pod.node}\` are in ${formatPrefix(block)}`,
      }),
    )
  }
}

/** The blocks that pods of one node take, in order of the pods. */
function blocksOf(
  pods: readonly ClusterPodModel[],
  { length, address }: Pick<Family, 'length' | 'address'>,
): readonly Prefix[] {
  const blocks = pods.flatMap((pod) => {
    const own = address(pod)
    return own === undefined ? [] : [networkOf(prefixOf(own, length))]
  })
  return blocks.filter(
    (block, index) => blocks.findIndex((each) => sameIp(each.address, block.address)) === index,
  )
}

function readNode(
  host: HostDraft,
  bare: NamespaceModel,
  all: readonly ClusterPodModel[],
  cni: ClusterCni,
): ClusterNodeModel {
  const pods = all.filter((pod) => pod.node === host.name)
  const own = (family: 4 | 6): readonly Prefix[] => {
    const address = (pod: ClusterPodModel): IpAddress | undefined =>
      family === 4 ? pod.address : pod.address6
    const blocks = blocksOf(pods, { length: blockLength[family][cni], address })
    return cni === 'calico' ? blocks : blocks.slice(0, 1)
  }
  return {
    name: host.name,
    underlay: underlayOf(host),
    blocks: own(4),
    blocks6: own(6),
    bare,
    macs: new Map([...host.devices.values()].map(({ name, mac }) => [name, mac])),
  }
}

function underlayOf(host: HostDraft): ClusterNodeModel['underlay'] {
  for (const device of host.devices.values()) {
    const found = device.net === undefined ? undefined : firstFour(device)
    const address6 = device.addresses.find(
      ({ prefix }) => !isIpv4(prefix.address) && !isLinkLocal(prefix.address),
    )?.prefix.address as Ipv6 | undefined
    if (found !== undefined) {
      const base = { device: device.name, address: found, mtu: mtuOf(device) }
      return address6 === undefined ? base : { ...base, address6 }
    }
  }
  return undefined
}

function firstFour(device: DeviceDraft): Ipv4 | undefined {
  return device.addresses.find(({ prefix }) => isIpv4(prefix.address))?.prefix.address as Ipv4 | undefined
}

function mtuOf(device: DeviceDraft): number {
  const number = Number(optionValue(device.options, 'mtu')?.text)
  return Number.isInteger(number) ? number : 1500
}
