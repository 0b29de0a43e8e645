// A device written out, in the words of a file: its kind with its options, programs at its hooks, its queue and sysctls.
import { formatIp } from '../net/address.ts'
import { formatMac } from '../net/mac.ts'
import { formatPrefix } from '../net/prefix.ts'
import { etherType, etherTypeName } from '../net/protocol.ts'
import type { AttachmentModel, DeviceModel, QdiscModel, TunnelModel } from './device-model.ts'
import type { NamespaceModel } from './model.ts'
import { sysctlTexts } from './words/sysctls.ts'

/** In front of what no file can say: a WireGuard device, which only the agents of a cluster make, its sysctls and routes to it. */
const agentRemark = '#   '

/** In front of a sysctl of such a device, or a route to it. */
export function ofAgents({ devices }: NamespaceModel, about: string | undefined): string {
  return devices.some(({ kind, name }) => kind === 'wireguard' && about === name) ? agentRemark : ''
}

/** A device, with what stands in its block. */
export function deviceLines(device: DeviceModel, ifindex: number): readonly string[] {
  if (device.kind === 'wireguard')
    return [`${agentRemark}dev ${device.name} wireguard mtu ${device.mtu}   ifindex ${ifindex}`]
  const words = [
    'dev',
    device.name,
    device.kind,
    ...(device.segment === undefined ? [] : ['on', device.segment]),
    ...device.addresses.map(formatPrefix),
    ...(device.peer === undefined ? [] : [`peer ${device.peer.namespace}/${device.peer.device}`]),
    ...(device.tunnel === undefined ? [] : tunnelWords(device.kind, device.tunnel)),
    ...netkitWords(device),
    ...(device.lower === undefined ? [] : [`dev ${device.lower}`]),
    ...(device.vlanId === undefined ? [] : [`id ${device.vlanId}`]),
    ...(device.macvlanMode === undefined ? [] : [`mode ${device.macvlanMode}`]),
    ...(device.master === undefined ? [] : [`master ${device.master}`]),
    ...(device.flood === false ? ['flood off'] : []),
    ...(device.learning === false ? ['nolearning'] : []),
    ...(device.ageing === undefined ? [] : [`ageing ${device.ageing}ns`]),
    ...(device.vlanProtocol === etherType.qinq ? ['protocol 802.1ad'] : []),
    ...(device.hairpin ? ['hairpin on'] : []),
    ...(device.isolated ? ['isolated on'] : []),
    ...(device.driver === undefined ? [] : [`driver ${device.driver}`]),
    ...(device.tso === undefined ? [] : [`offload tso ${device.tso ? 'on' : 'off'}`]),
    ...(device.gro === undefined ? [] : [`offload gro ${device.gro ? 'on' : 'off'}`]),
    ...(device.netkit?.mode === 'l3' ? [] : [`mac ${formatMac(device.mac)}`]),
    `mtu ${device.mtu}`,
    ...(device.up ? [] : ['down']),
  ]
  const inside = [
    ...(device.qdisc === undefined ? [] : [qdiscLine(device.qdisc)]),
    ...device.attachments.map(attachmentLine),
    ...sysctlTexts(device.sysctls).map((text) => `sysctl ${text}`),
  ]
  const head = words.join(' ')
  const remark = `# ifindex ${ifindex}${device.noarp === true ? ', noarp' : ''}`
  if (inside.length === 0) return [`${head}   ${remark}`]
  return [`${head} {   ${remark}`, ...inside.map((line) => `  ${line}`), '}']
}

/** The mode of a netkit pair at its primary device, and what each end does. */
function netkitWords({ netkit }: DeviceModel): readonly string[] {
  if (netkit === undefined) return []
  const { primary, mode } = netkit
  const policy = primary ? netkit.policy : netkit.peerPolicy
  const scrub = primary ? netkit.scrub : netkit.peerScrub
  return [...(primary ? [`mode ${mode}`] : []), `policy ${policy}`, `scrub ${scrub}`]
}

/** What differs from the defaults of iproute2. */
function tunnelWords(kind: DeviceModel['kind'], tunnel: TunnelModel): readonly string[] {
  const { remote, local, dstport, srcport } = tunnel
  return [
    ...(kind === 'ipip' || tunnel.external ? [] : [`id ${tunnel.vni}`]),
    ...(remote === undefined ? [] : [`remote ${formatIp(remote)}`]),
    ...(local === undefined ? [] : [`local ${formatIp(local)}`]),
    ...(dstport === undefined ? [] : [`dstport ${dstport}`]),
    ...(srcport === undefined ? [] : [`srcport ${srcport.first} ${srcport.last}`]),
    ...(tunnel.external ? ['external'] : []),
    ...(tunnel.learning || kind !== 'vxlan' ? [] : ['nolearning']),
    ...(tunnel.proxy ? ['proxy'] : []),
    ...(tunnel.ttl === 0 ? [] : [`ttl ${tunnel.ttl}`]),
    ...(tunnel.tos === 0 ? [] : [`tos ${tunnel.tos}`]),
    ...(tunnel.df === 'unset' ? [] : [`df ${tunnel.df}`]),
    ...(tunnel.udpcsum ? [] : ['noudpcsum']),
    ...(tunnel.pathMtu ? [] : ['nopmtudisc']),
  ]
}

function qdiscLine(qdisc: QdiscModel): string {
  const { limit, flowLimit, quantum, initialQuantum, maxRate, horizon, horizonDrop, pacing } = qdisc
  return [
    `qdisc ${qdisc.kind}`,
    ...(limit === undefined ? [] : [`limit ${limit}`]),
    ...(flowLimit === undefined ? [] : [`flow_limit ${flowLimit}`]),
    ...(quantum === undefined ? [] : [`quantum ${quantum}`]),
    ...(initialQuantum === undefined ? [] : [`initial_quantum ${initialQuantum}`]),
    ...(maxRate === undefined ? [] : [`maxrate ${maxRate}bps`]),
    ...(horizon === undefined ? [] : [`horizon ${horizon}ns`]),
    ...(horizonDrop === undefined ? [] : [horizonDrop ? 'horizon_drop' : 'horizon_cap']),
    ...(pacing === undefined ? [] : [pacing ? 'pacing' : 'nopacing']),
  ].join(' ')
}

function attachmentLine(item: AttachmentModel): string {
  const { action, position } = item
  return [
    item.hook,
    ...(item.mode === undefined ? [] : [item.mode]),
    item.program,
    ...(item.pref === undefined ? [] : [`pref ${item.pref}`]),
    ...(item.handle === undefined ? [] : [`handle ${item.handle}`]),
    ...(item.protocol === undefined ? [] : [`protocol ${etherTypeName(item.protocol)}`]),
    ...(item.classic ? ['classic'] : []),
    ...(item.classid === undefined ? [] : [`classid ${item.classid}`]),
    ...(action === undefined
      ? []
      : ['device' in action ? `action ${action.kind} ${action.device}` : `action ${action.kind}`]),
    ...(position === undefined
      ? []
      : ['program' in position ? `${position.kind} ${position.program}` : position.kind]),
  ].join(' ')
}
