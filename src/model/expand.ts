// Nothing is hidden: the whole derived world as text in the language's own words. What the file may say is a statement;
// what only the kernel says (indexes, connected routes, warm neighbours) is a comment behind it.
import { formatIp, type IpAddress, isIpv4 } from '../net/address.ts'
import { formatMac } from '../net/mac.ts'
import { broadcastOf, formatPrefix, isIpv4Prefix, networkOf, type Prefix } from '../net/prefix.ts'
import type { DeviceModel } from './device-model.ts'
import { deviceLines, ofAgents } from './expand-device.ts'
import type {
  FdbModel,
  ListenModel,
  NamespaceModel,
  NeighbourModel,
  RouteModel,
  RuleModel,
  World,
} from './model.ts'
import type { ProgramModel } from './program.ts'
import { ruleProtocolName } from './resolve/rule.ts'
import type { RulesetModel } from './ruleset.ts'
import { type WarmNeighbour, warmNeighbours } from './warm.ts'
import { sysctlTexts } from './words/sysctls.ts'

/** A world as text; equal worlds give equal text. */
export function expandWorld(world: World): string {
  const warm = new Map<string, WarmNeighbour[]>()
  for (const entry of warmNeighbours(world)) {
    const known = warm.get(entry.namespace)
    if (known === undefined) warm.set(entry.namespace, [entry])
    else known.push(entry)
  }
  const blocks = [
    world.segments.map((net) => `  net ${net.name} ${net.prefixes.map(formatPrefix).join(' ')}`),
    ...world.namespaces.map((host) => hostLines(host, warm.get(host.name) ?? [])),
    ...world.programs.map(programLines),
    (world.notes?.() ?? []).map((note) => `  #   ${note}`),
  ].filter((lines) => lines.length > 0)
  return `topology {\n${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n}\n`
}

function hostLines(host: NamespaceModel, warm: readonly WarmNeighbour[]): readonly string[] {
  const outside =
    host.kind === 'external' ? host.devices.find((device) => device.segment !== undefined) : undefined
  const on = host.kind === 'netns' && host.node !== host.name ? ` on ${host.node}` : externalHead(outside)
  const remarks = host.mute ? '   # answers nothing above ARP and ND' : ''
  const kernel = host.kernel === undefined ? [] : [`kernel ${host.kernel}`]
  const lines = [
    ...kernel,
    ...(host.neighbours === 'cold' ? ['neighbours cold'] : []),
    '# dev lo   ifindex 1, 127.0.0.1/8, ::1/128',
    ...host.devices.flatMap((device, index) =>
      device === outside
        ? [`# dev ${device.name}   ifindex ${index + 2}, mtu ${device.mtu}`]
        : deviceLines(device, index + 2),
    ),
    ...sysctlTexts(host.sysctls).map((text) => `${ofAgents(host, text.split('.')[3])}sysctl ${text}`),
    ...host.devices.flatMap((device) => device.addresses.flatMap((prefix) => kernelRoutes(prefix, device))),
    ...host.routes.map((route) => `${ofAgents(host, route.nexthops[0]?.device)}${routeLine(route)}`),
    ...(host.localRulePriority === undefined
      ? []
      : [`#   rule pref ${host.localRulePriority} lookup local   in place of pref 0`]),
    ...host.rules.map(ruleLine),
    ...host.entries.map(neighbourLine),
    ...host.fdb.map(fdbLine),
    ...warm.filter(({ program }) => program).map(warmLine),
    ...warm.filter(({ program }) => !program).map(warmLine),
    ...host.listens.map(listenLine),
    ...(host.cgroup ?? []).map(({ hook, program }) => `${hook} ${program}`),
    ...(host.rulesets ?? []).flatMap(rulesetLines),
    ...(host.notes?.() ?? []).map((note) => `#   ${note}`),
  ]
  return [`  ${host.kind} ${host.name}${on} {${remarks}`, ...lines.map((line) => `    ${line}`), '  }']
}

/** The device of an external stands in its head. */
function externalHead(device: DeviceModel | undefined): string {
  if (device === undefined) return ''
  return ` on ${device.segment} ${device.addresses.map(formatPrefix).join(' ')} mac ${formatMac(device.mac)}`
}

/** What the kernel puts into its tables for an address (fib_add_ifaddr): the host, the subnet, its broadcast address. */
function kernelRoutes(prefix: Prefix, device: DeviceModel): readonly string[] {
  const own = formatIp(prefix.address)
  const lines = [`# route local ${own} dev ${device.name} table local`]
  const whole = isIpv4(prefix.address) ? 32 : 128
  if (prefix.length < whole) {
    const source = isIpv4Prefix(prefix) ? ` scope link src ${own}` : ' metric 256'
    lines.push(`# route ${formatPrefix(networkOf(prefix))} dev ${device.name}${source}`)
  }
  const broadcast = isIpv4Prefix(prefix) ? broadcastOf(prefix) : undefined
  if (broadcast !== undefined)
    lines.push(`# route broadcast ${formatIp(broadcast)} dev ${device.name} table local`)
  return lines
}

function routeLine(route: RouteModel): string {
  // `default` is of the gateway's family: without one, that of IPv6 is `::/0`.
  const says = isIpv4Prefix(route.prefix) || route.nexthops.some(({ via }) => via !== undefined)
  const isDefault = route.prefix.length === 0 && says
  const family = isIpv4Prefix(route.prefix) ? '' : '   # IPv6'
  const hops = route.nexthops.map((hop) =>
    [
      ...(hop.via === undefined ? [] : [`via ${formatIp(hop.via)}`]),
      ...(hop.device === undefined ? [] : [`dev ${hop.device}`]),
      ...(hop.onlink ? ['onlink'] : []),
      ...(route.nexthops.length > 1 ? [`weight ${hop.weight}`] : []),
    ].join(' '),
  )
  const options = [
    ...(route.table === 254 ? [] : [`table ${route.table}`]),
    ...(route.metric === 0 || (route.metric === 1024 && !isIpv4Prefix(route.prefix))
      ? []
      : [`metric ${route.metric}`]),
    ...(route.scope === undefined ? [] : [`scope ${route.scope}`]),
    ...(route.source === undefined ? [] : [`src ${formatIp(route.source)}`]),
    ...(route.mtu === undefined ? [] : [`mtu ${route.mtu}`]),
    ...(route.protocol === undefined ? [] : [`proto ${route.protocol}`]),
    ...(route.tos === 0 ? [] : [`tos ${route.tos}`]),
  ]
  const ways = hops.length > 1 ? [...options, ...hops.map((hop) => `nexthop ${hop}`)] : [...hops, ...options]
  const type = route.type === 'unicast' ? [] : [route.type]
  const target = isDefault ? 'default' : formatPrefix(route.prefix)
  return `${['route', ...type, target, ...ways].join(' ')}${isDefault ? family : ''}`
}

function ruleLine(rule: RuleModel): string {
  const { action } = rule
  const range = (ports: { readonly first: number; readonly last: number }): string =>
    ports.first === ports.last ? String(ports.first) : `${ports.first}-${ports.last}`
  const words = [
    'rule',
    ...(rule.not ? ['not'] : []),
    ...(rule.priority === undefined ? [] : [`pref ${rule.priority}`]),
    ...(rule.from === undefined ? [] : [`from ${formatPrefix(rule.from)}`]),
    ...(rule.to === undefined ? [] : [`to ${formatPrefix(rule.to)}`]),
    ...(rule.mark === undefined
      ? []
      : [`fwmark 0x${rule.mark.value.toString(16)}/0x${rule.mark.mask.toString(16)}`]),
    ...(rule.inDevice === undefined ? [] : [`iif ${rule.inDevice}`]),
    ...(rule.outDevice === undefined ? [] : [`oif ${rule.outDevice}`]),
    ...(rule.tos === undefined ? [] : [`tos ${rule.tos}`]),
    ...(rule.protocol === undefined ? [] : [`ipproto ${ruleProtocolName(rule.protocol)}`]),
    ...(rule.sport === undefined ? [] : [`sport ${range(rule.sport)}`]),
    ...(rule.dport === undefined ? [] : [`dport ${range(rule.dport)}`]),
    ...(rule.suppressPrefixLength === undefined
      ? []
      : [`suppress_prefixlength ${rule.suppressPrefixLength}`]),
  ]
  const end =
    action.kind === 'lookup'
      ? `lookup ${action.table}`
      : action.kind === 'goto'
        ? `goto ${action.priority}`
        : action.kind
  return [...words, end].join(' ')
}

function neighbourLine(entry: NeighbourModel): string {
  if (entry.state === 'proxy') return `neigh proxy ${formatIp(entry.address)} dev ${entry.device}`
  const mac = entry.mac === undefined ? '' : ` ${formatMac(entry.mac)}`
  return `neigh ${formatIp(entry.address)}${mac} dev ${entry.device} ${entry.state}`
}

function fdbLine(entry: FdbModel): string {
  const { remote } = entry
  const words = [
    `fdb ${formatMac(entry.mac)} dev ${entry.device}`,
    ...(remote === undefined ? [] : [`dst ${formatIp(remote.address)}`]),
    ...(remote?.port === undefined ? [] : [`port ${remote.port}`]),
    ...(remote?.vni === undefined ? [] : [`vni ${remote.vni}`]),
    ...(remote?.via === undefined ? [] : [`via ${remote.via}`]),
    entry.own === true ? 'local' : entry.permanent ? 'static' : 'dynamic',
  ]
  return words.join(' ')
}

/** What a topology derives is a remark; what a cluster's programs answer has to be said in it. */
function warmLine(entry: WarmNeighbour): string {
  return `${entry.program ? '' : '# '}neigh ${formatIp(entry.address)} ${formatMac(entry.mac)} dev ${entry.device} reachable`
}

function listenLine({ protocol, port, app, address, ...options }: ListenModel): string {
  const {
    ttl,
    mark,
    backlog,
    v6only,
    reuseport,
    transparent,
    status,
    bodyBytes,
    chunked,
    answers = [],
  } = options
  const words = [
    ...(status === undefined ? [] : [` status ${status}`]),
    ...(bodyBytes === undefined ? [] : [` reply ${bodyBytes}`]),
    ...(chunked === true ? [' chunked'] : []),
    ...answers.map(({ name, addresses }) => ` answer ${name} ${addresses.map(formatIp).join(' ')}`),
    ...(answers[0]?.ttl === undefined ? [] : [` for ${answers[0].ttl}s`]),
    ...(ttl === undefined ? [] : [` ttl ${ttl}`]),
    ...(mark === undefined ? [] : [` mark ${mark}`]),
    ...(backlog === undefined ? [] : [` backlog ${backlog}`]),
    ...(v6only === true ? [' v6only'] : []),
    ...(reuseport === true ? [' reuseport'] : []),
    ...(transparent === true ? [' transparent'] : []),
  ]
  const on = (at: IpAddress | undefined): string => (at === undefined ? '' : ` on ${formatIp(at)}`)
  return `listen ${protocol} ${port}${app === 'accept' ? '' : ` ${app}`}${on(address)}${words.join('')}`
}

function rulesetLines({ tool, text }: RulesetModel): readonly string[] {
  return [
    `${tool} """`,
    ...text
      .replace(/\n[ \t]*$/, '')
      .split('\n')
      .map((line) => line.trim()),
    '"""',
  ]
}

function programLines(program: ProgramModel): readonly string[] {
  const maps = program.maps.map(
    (map) =>
      `  #   map ${map.name} ${map.type} key ${map.keyType} (${map.keyBytes} B) value ${map.valueType} (${map.valueBytes} B) max-entries ${map.maxEntries}`,
  )
  return [`  # prog ${program.name} ${program.type}`, ...maps]
}
