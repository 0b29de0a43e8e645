// IPsec between the nodes of 1.10: one key for all, states and policies between the routers, in tunnels, too; table 200 for what is
// to be encrypted and what is to be decrypted (cilium v1.10 pkg/datapath/linux/node.go enableIPsec(), ipsec/ipsec_linux.go).
import { hash32 } from '../../../base/hash.ts'
import { formatIp, type IpAddress, isIpv4 } from '../../../net/address.ts'
import { formatPrefix, isIpv4Prefix, networkOf, type Prefix } from '../../../net/prefix.ts'
import type { AgentState } from '../agent.ts'
import { keyOf } from '../ipcache.ts'
import type { NodeAddresses } from '../node-addresses.ts'
import { tunnelOverhead } from './mtu.ts'
import type { RoutePlan, RulePlan } from './plan.ts'
import { hostDevice } from './routes.ts'

/** RouteMarkEncrypt, RouteMarkDecrypt, RouteMarkMask, IPsecMarkMask, IPsecFwdPriority, DefaultReqID, RouteTableIPSec */
const encrypt = 0xe00
const decrypt = 0xd00
const typeMask = 0xf00
const outMask = 0xff00
const forwardPriority = 0x0b9f
const reqid = 1
const table = 200
/** TunnelDeviceName, whatever the tunnel is. */
const routedTunnel = 'cilium_vxlan'

const any = { 4: '0.0.0.0', 6: '::' } as const
const everything = { 4: '0.0.0.0/0', 6: '::/0' } as const
const hex = (value: number): string => `0x${value.toString(16)}`

/** The key of the secret cilium-ipsec-keys, which all nodes use as it is. A real one is made at random. */
function secret(): string {
  const words = Array.from({ length: 5 }, (_, at) => hash32('cilium-ipsec-keys', at))
  return `aead rfc4106(gcm(aes)) 0x${words.map((word) => word.toString(16).padStart(8, '0')).join('')} 128`
}

/** A node as the end of tunnels, in one family. */
interface End {
  readonly router: string
  /** The range of its pods. */
  readonly pods: string
}

function endOf({ node, router }: NodeAddresses, family: 4 | 6): End | undefined {
  const isSame = (address: IpAddress): boolean => isIpv4(address) === (family === 4)
  const address = router.find(isSame)
  const range = node.podCidrs.find((prefix) => isSame(prefix.address))
  if (address === undefined || range === undefined) return undefined
  return { router: formatIp(address), pods: formatPrefix(networkOf(range)) }
}

/** ipSecNewState() with ipSecJoinState(): neither sequence numbers of 64 bits nor a window for those that come again. */
function stateOf(source: string, destination: string, spi: number, marks: string): string {
  const common = `proto esp spi ${spi} reqid ${reqid} mode tunnel ${secret()}`
  return `state add src ${source} dst ${destination} ${common} ${marks}`
}

/** UpsertIPsecEndpoint() towards this node: whoever has encrypted what comes, it was for its router. */
function inLines({ router, pods }: End, family: 4 | 6, spi: number): readonly string[] {
  const mark = `mark ${hex(decrypt)} mask ${hex(typeMask)}`
  const selector = `src ${everything[family]} dst ${pods}`
  const template = `tmpl src ${any[family]} dst ${router} proto esp reqid ${reqid} mode tunnel`
  return [
    stateOf(any[family], router, spi, `${mark} output-mark ${hex(decrypt)} mask ${hex(typeMask)}`),
    `policy update ${selector} dir in ${mark} ${template}`,
    `policy update ${selector} dir fwd priority ${forwardPriority} ${template} level use`,
  ]
}

/** The same towards another node: what its mark says is encrypted from router to router. IPv6 names no source. */
function outLines(own: End, other: End, family: 4 | 6, spi: number): readonly string[] {
  const mark = `mark ${hex(encrypt | (spi << 12))} mask ${hex(outMask)}`
  const ends = `src ${own.router} dst ${other.router}`
  const source = family === 4 ? own.pods : everything[6]
  const forward = `policy update src ${everything[4]} dst ${other.pods} dir fwd priority ${forwardPriority} tmpl ${ends} proto esp reqid ${reqid} mode tunnel level use`
  return [
    stateOf(own.router, other.router, spi, `${mark} output-mark ${hex(encrypt)} mask ${hex(typeMask)}`),
    `policy update src ${source} dst ${other.pods} dir out ${mark} tmpl ${ends} proto esp spi ${spi} reqid ${reqid} mode tunnel`,
    ...(family === 4 ? [forward] : []),
  ]
}

function familiesOf({ node: { config } }: NodeAddresses): readonly (4 | 6)[] {
  return ([4, 6] as const).filter((family) => (family === 4 ? config.ipv4 : config.ipv6))
}

/** States and policies of a node, as `ip xfrm` takes them; none without IPsec. */
export function legacyIpsecPlan(own: AgentState, others: readonly AgentState[]): readonly string[] {
  if (own.node.config.encryption !== 'ipsec') return []
  const spi = keyOf(own.node)
  return familiesOf(own.addresses).flatMap((family) => {
    const here = endOf(own.addresses, family)
    if (here === undefined) return []
    const there = others.flatMap(({ addresses }) => endOf(addresses, family) ?? [])
    return [...inLines(here, family, spi), ...there.flatMap((end) => outLines(here, end, family, spi))]
  })
}

/** The device where what was decrypted comes in: createNodeIPSecInRoute(). Undefined where there is none of the name. */
function inDevice({ node: { config, devices } }: NodeAddresses): string | undefined {
  if (config.routing !== 'tunnel') return devices[0]?.name
  return config.tunnelProtocol === 'vxlan' ? routedTunnel : undefined
}

/** replaceHostRules(), createNodeIPSecInRoute(), createNodeIPSecOutRoute(). `mtu` is that of devices. */
export function legacyIpsecRoutes(
  own: NodeAddresses,
  others: readonly NodeAddresses[],
  mtu: number,
): { readonly routes: readonly RoutePlan[]; readonly rules: readonly RulePlan[] } {
  const { config } = own.node
  if (config.encryption !== 'ipsec') return { routes: [], rules: [] }
  const device = inDevice(own)
  const families = familiesOf(own)
  const rangesOf = ({ node }: NodeAddresses): readonly Prefix[] =>
    node.podCidrs
      .filter((prefix) => families.includes(isIpv4Prefix(prefix) ? 4 : 6))
      .map((prefix) => networkOf(prefix))
  // GetRoutePostEncryptMTU(): room for the tunnel alone
  const room = config.routing === 'tunnel' ? mtu - tunnelOverhead[4] : mtu
  const here = rangesOf(own).flatMap((prefix): readonly RoutePlan[] =>
    device === undefined ? [] : [{ prefix, type: 'local', device, table }],
  )
  const there = others.flatMap((other) =>
    rangesOf(other).map(
      (prefix): RoutePlan => ({ prefix, type: 'unicast', device: hostDevice, mtu: room, table }),
    ),
  )
  const rule = (family: 4 | 6, mark: number): RulePlan => {
    return { family, priority: 1, mark, mask: typeMask, table }
  }
  const rules = families.flatMap((family) => [
    ...(family === 6 || !config.endpointRoutes ? [rule(family, decrypt)] : []),
    rule(family, encrypt),
  ])
  return { routes: [...here, ...there], rules }
}
