// What stands in the tables of a namespace as lines for iproute2: addresses, routes, rules, neighbours, entries of bridges.
import type {
  FdbModel,
  NamespaceModel,
  NeighbourModel,
  RouteModel,
  RuleModel,
  World,
} from '../model/model.ts'
import { formatIp, type IpAddress, isIpv4 } from '../net/address.ts'
import { formatMac, macFrom } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'
import type { Surroundings } from './topology.ts'

/** A MAC address as iproute2 writes it. */
export function macText(mac: number): string {
  return formatMac(macFrom(mac))
}

function prefixText({ address, length }: Prefix): string {
  return `${formatIp(address)}/${length}`
}

/** `ip addr`. */
export function addressLine(device: string, prefix: Prefix): string {
  return isIpv4(prefix.address)
    ? `addr add ${prefixText(prefix)} dev ${device}`
    : `addr replace ${prefixText(prefix)} dev ${device} nodad` // a link-local address may be there already
}

/** `ip neigh` for a declared entry. */
export function neighbourLine(verb: 'replace' | 'del', entry: NeighbourModel): string {
  const address = formatIp(entry.address)
  if (entry.state === 'proxy')
    return `neigh ${verb === 'del' ? 'del' : 'add'} proxy ${address} dev ${entry.device}`
  if (verb === 'del') return `neigh del ${address} dev ${entry.device}`
  const mac = entry.mac === undefined ? '' : ` lladdr ${macText(entry.mac)}`
  return `neigh replace ${address}${mac} dev ${entry.device} nud ${entry.state}`
}

/** Whoever starts warm knows its links: the same question that the model's kernel asks. */
export function warmLines(around: Surroundings, model: NamespaceModel): string[] {
  const ns = around.booted(model.name)
  const { warm } = ns.ip
  if (warm === undefined) return []
  const lines: string[] = []
  const addresses = knownAddresses(around.world)
  for (const device of model.devices) {
    const dev = ns.devicesByName.get(device.name)
    if (dev === undefined || !device.up) continue
    for (const address of addresses) {
      const mac = warm(dev, address)
      if (mac !== undefined)
        lines.push(
          `neigh replace ${formatIp(address)} lladdr ${macText(mac)} dev ${device.name} nud reachable`,
        )
    }
  }
  return lines
}

function knownAddresses(world: World): readonly IpAddress[] {
  const texts = new Map<string, IpAddress>()
  for (const { devices } of world.namespaces)
    for (const { addresses } of devices)
      for (const { address } of addresses) texts.set(formatIp(address), address)
  return [...texts.values()]
}

/** `ip route`. */
export function routeLine(verb: 'add' | 'replace' | 'del', route: RouteModel): string {
  const words = [`route ${verb} ${route.type} ${prefixText(route.prefix)} table ${route.table}`]
  if (route.tos !== 0) words.push(`tos 0x${route.tos.toString(16)}`) // iproute2 reads hexadecimal digits
  if (route.metric !== 0) words.push(`metric ${route.metric}`)
  if (verb !== 'del') {
    if (route.scope !== undefined) words.push(`scope ${route.scope}`)
    if (route.source !== undefined) words.push(`src ${formatIp(route.source)}`)
    if (route.mtu !== undefined) words.push(`mtu ${route.mtu}`)
  }
  const several = route.nexthops.length > 1
  for (const hop of route.nexthops) {
    if (several) words.push('nexthop')
    if (hop.via !== undefined) words.push(`via ${formatIp(hop.via)}`)
    if (hop.device !== undefined) words.push(`dev ${hop.device}`)
    if (several) words.push(`weight ${hop.weight}`)
    if (hop.onlink) words.push('onlink')
  }
  return words.join(' ')
}

/** `ip rule`, without its family. */
export function ruleLine(verb: 'add' | 'del', rule: RuleModel): string {
  const words = [`rule ${verb}`]
  const put = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(`${name} ${value}`)
  }
  if (rule.not) words.push('not')
  put('pref', rule.priority)
  put('from', rule.from === undefined ? 'all' : prefixText(rule.from))
  if (rule.to !== undefined) put('to', prefixText(rule.to))
  if (rule.mark !== undefined) put('fwmark', `${rule.mark.value}/${rule.mark.mask}`)
  put('iif', rule.inDevice)
  put('oif', rule.outDevice)
  put('tos', rule.tos === undefined ? undefined : `0x${rule.tos.toString(16)}`)
  put('ipproto', rule.protocol)
  if (rule.sport !== undefined) put('sport', `${rule.sport.first}-${rule.sport.last}`)
  if (rule.dport !== undefined) put('dport', `${rule.dport.first}-${rule.dport.last}`)
  const { action } = rule
  if (action.kind === 'lookup') put('lookup', action.table)
  else if (action.kind === 'goto') put('goto', action.priority)
  else words.push(action.kind)
  put('suppress_prefixlength', rule.suppressPrefixLength)
  return words.join(' ')
}

/** `bridge fdb`. What stays is `static`: a `permanent` entry of a port would be an address of the bridge itself. */
export function fdbLine(verb: 'add' | 'del', entry: FdbModel, bridge: boolean): string {
  const head = `fdb ${verb === 'add' && entry.remote !== undefined ? 'append' : verb} ${macText(entry.mac)} dev ${entry.device}`
  const { remote } = entry
  if (remote !== undefined) {
    const port = remote.port === undefined ? '' : ` port ${remote.port}`
    const vni = remote.vni === undefined ? '' : ` vni ${remote.vni}`
    const via = remote.via === undefined ? '' : ` via ${remote.via}`
    return `${head} dst ${formatIp(remote.address)}${port}${vni}${via} self ${entry.permanent ? 'permanent' : 'dynamic'}`
  }
  if (bridge) return `${head} self permanent`
  const written = verb === 'add' ? head.replace('fdb add', 'fdb replace') : head // it may be learned already
  return `${written} master ${entry.permanent ? 'static' : 'dynamic'}`
}
