// IPsec between the nodes: the states and policies of the kernel, and how packets that carry an ESP header come to it (cilium
// pkg/datapath/linux/ipsec.go, pkg/datapath/linux/ipsec/ipsec_linux.go). The agent's UpsertIPsecEndpoint() updates what is there.
import { hash32 } from '../../../base/hash.ts'
import { formatIp, type IpAddress, isIpv4, sameIp } from '../../../net/address.ts'
import { formatPrefix, hostPrefix, isIpv4Prefix, networkOf, type Prefix } from '../../../net/prefix.ts'
import type { AgentState } from '../agent.ts'
import type { NodeAddresses } from '../node-addresses.ts'
import type { RoutePlan, RulePlan } from './plan.ts'
import { hostDevice } from './routes.ts'

/** RouteMarkEncrypt, RouteMarkDecrypt and the masks around them. */
const encrypt = 0xe00
const decrypt = 0xd00
const typeMask = 0xf00
const outMask = 0xffff_ff00
const inMask = 0xffff_0f00
/** IPsecFwdPriority, defaultDropPriority, DefaultReqID */
const forwardPriority = 0x0b9f
const dropPriority = 100
const reqid = 1
const replayWindow = 1024
/** RouteTableIPSec */
const table = 200

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`
const any = { 4: '0.0.0.0/0', 6: '::/0' } as const

/** Two ends of a tunnel, and what the node at the other end is called in marks. */
interface Peer {
  readonly local: IpAddress
  readonly remote: IpAddress
  readonly id: number
  readonly spi: number
  /** How often the secret has changed. */
  readonly rotations: number
}

interface Ends extends Pick<Peer, 'spi' | 'rotations'> {
  readonly source: IpAddress
  readonly destination: IpAddress
}

/**
 * deriveNodeIPsecKey(): a key for each pair of ends and each direction, out of the secret's. Real ones are hashes of it, of the
 * addresses and of what each machine drew when it booted.
 */
function keyOf({ source, destination, rotations }: Ends): string {
  const secret = rotations === 0 ? '' : ` ${rotations}`
  const ends = `${formatIp(source)} ${formatIp(destination)}${secret}`
  const words = Array.from({ length: 5 }, (_, at) => hash32(ends, at).toString(16).padStart(8, '0'))
  return `aead rfc4106(gcm(aes)) 0x${words.join('')} 128`
}

/** ipSecNewState(). */
function stateLine(ends: Ends): string {
  const { source, destination, spi } = ends
  const between = `src ${formatIp(source)} dst ${formatIp(destination)}`
  const common = `proto esp spi ${spi} reqid ${reqid} mode tunnel replay-window ${replayWindow} flag esn`
  return `state add ${between} ${common} ${keyOf(ends)}`
}

/** ipSecReplaceStateOut(), ipSecReplacePolicyOut(): what goes to a prefix behind the peer, if its mark says that it shall. */
function outLines(peer: Peer, source: string, destination: Prefix): readonly string[] {
  const { local, remote, id, spi, rotations } = peer
  const mark = `mark ${hex(encrypt | (spi << 12) | (id << 16))} mask ${hex(outMask)}`
  const ends = `src ${formatIp(local)} dst ${formatIp(remote)}`
  return [
    `${stateLine({ source: local, destination: remote, spi, rotations })} ${mark} output-mark ${hex(encrypt)} mask ${hex(outMask)}`,
    `policy update src ${source} dst ${formatPrefix(destination)} dir out ${mark} tmpl ${ends} proto esp spi ${spi} reqid ${reqid} mode tunnel`,
  ]
}

/** ipSecReplaceStateIn(), ipSecReplacePolicyIn(): the policy lets pass whatever came through any tunnel, or through none. */
function inLines({ local, remote, id, spi, rotations }: Peer, family: 4 | 6): readonly string[] {
  const mark = `mark ${hex(decrypt | (id << 16))} mask ${hex(inMask)}`
  return [
    `${stateLine({ source: remote, destination: local, spi, rotations })} ${mark} output-mark ${hex(decrypt)} mask ${hex(outMask)}`,
    `policy update src ${any[family]} dst ${any[family]} dir in ${passing}`,
  ]
}

/** An optional template; the agent's library gives it the addresses of IPv4 even where the policy is one of IPv6. */
const passing = 'tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode tunnel level use'

/** IPsecDefaultDropPolicy(): what is marked for encryption never leaves without. */
function dropLine(family: 4 | 6): string {
  return `policy update src ${any[family]} dst ${any[family]} dir out priority ${dropPriority} mark ${hex(encrypt)} mask ${hex(typeMask)} action block`
}

const addressOf = ({ ip4, ip6 }: NodeAddresses, family: 4 | 6): IpAddress | undefined =>
  family === 4 ? ip4 : ip6

function routerOf({ router }: NodeAddresses, family: 4 | 6): IpAddress | undefined {
  return router.find((address) => isIpv4(address) === (family === 4))
}

function rangesOf({ node }: NodeAddresses, family: 4 | 6): readonly Prefix[] {
  return node.podCidrs
    .filter((prefix) => isIpv4Prefix(prefix) === (family === 4))
    .map((prefix) => networkOf(prefix))
}

/** enableIPSecIPv4Do(), enableIPSecIPv6Do(): between the routers for pods, and in tunnel mode between the nodes for the tunnel. */
function peerLines(own: AgentState, other: AgentState, family: 4 | 6): readonly string[] {
  const [local, remote] = [routerOf(own.addresses, family), routerOf(other.addresses, family)]
  if (local === undefined || remote === undefined) return []
  const found = own.nodeIds.find(({ address }) => sameIp(address, remote))
  const { id = 0, spi = 0 } = found ?? {}
  const { rotations } = own.node
  const peer: Peer = { local, remote, id, spi, rotations }
  const pods = rangesOf(other.addresses, family).flatMap((range) => outLines(peer, any[family], range))
  const forward = `policy update src ${any[family]} dst ${any[family]} dir fwd priority ${forwardPriority} ${passing}`
  const inner = [...pods, forward, ...inLines(peer, family)]
  const [underlay, far] = [addressOf(own.addresses, family), addressOf(other.addresses, family)]
  if (own.node.config.routing !== 'tunnel' || underlay === undefined || far === undefined) return inner
  const outer: Peer = { ...peer, local: underlay, remote: far }
  // the policy in of IPv6 tunnels is written with prefixes of IPv4
  return [
    ...inner,
    ...outLines(outer, formatPrefix(hostPrefix(underlay)), hostPrefix(far)),
    ...inLines(outer, 4),
  ]
}

function familiesOf({ node: { config } }: NodeAddresses): readonly (4 | 6)[] {
  return ([4, 6] as const).filter((family) => (family === 4 ? config.ipv4 : config.ipv6))
}

/** States and policies of a node, as `ip xfrm` takes them; none without IPsec. A state that two ranges share comes once. */
export function ipsecPlan(own: AgentState, others: readonly AgentState[]): readonly string[] {
  if (own.node.config.encryption !== 'ipsec') return []
  const lines = familiesOf(own.addresses).flatMap((family) => [
    dropLine(family),
    ...others.flatMap((other) => peerLines(own, other, family)),
  ])
  return lines.filter((line, at) => !line.startsWith('state') || lines.indexOf(line) === at)
}

/**
 * replaceHostRules(), createNodeIPSecInRoute(), createNodeIPSecOutRoute(): what is to be decrypted is this node's, whatever
 * address between those of its pods it was sent to. `mtu` is that of devices.
 */
export function ipsecRoutes(
  own: NodeAddresses,
  others: readonly NodeAddresses[],
  options: { readonly tunnel: string; readonly mtu: number },
): { readonly routes: readonly RoutePlan[]; readonly rules: readonly RulePlan[] } {
  const { config, devices } = own.node
  if (config.encryption !== 'ipsec') return { routes: [], rules: [] }
  const device = config.routing === 'tunnel' ? options.tunnel : devices[0]?.name
  const families = familiesOf(own)
  const here = families.flatMap((family) =>
    device === undefined
      ? []
      : rangesOf(own, family).map((prefix): RoutePlan => ({ prefix, type: 'local', device, table })),
  )
  const there = families.flatMap((family) =>
    others.flatMap((other) =>
      rangesOf(other, family).map(
        (prefix): RoutePlan => ({ prefix, type: 'unicast', device: hostDevice, mtu: options.mtu, table }),
      ),
    ),
  )
  const ruled = families.filter((family) => family === 6 || !config.endpointRoutes)
  const rules = ruled.map(
    (family): RulePlan => ({ family, priority: 1, mark: decrypt, mask: typeMask, table }),
  )
  return { routes: [...here, ...there], rules }
}
