// The settings of a recorded run as those of a node and its objects. A setting that nothing here understands is an error: a run
// must not be played as another one.
import { defaultValues, type NodeValues, type ObjectConfig } from '../../src/cilium/datapath/config.ts'
import { type Define, type Defines, defineNames, definesOf } from '../../src/cilium/datapath/defines.ts'
import type { RecordedConfig } from './case.ts'

const always: readonly Define[] = [
  'ENABLE_IPV4',
  'ENABLE_ROUTING',
  'ENABLE_NODEPORT',
  'ENABLE_MASQUERADE_IPV4',
  'ENABLE_SIP_VERIFICATION',
  'ENABLE_IDENTITY_MARK',
  'ENABLE_ARP_RESPONDER',
  'ENABLE_IPV4_FRAGMENTS',
  'SERVICE_NO_BACKEND_RESPONSE',
  'DROP_NOTIFY',
  'TRACE_NOTIFY',
  'POLICY_VERDICT_NOTIFY',
  'LOCAL_DELIVERY_METRICS',
  'CONNTRACK_ACCOUNTING',
]

/** How XDP runs, if it does. */
export function xdpMode({ xdp }: RecordedConfig): 'native' | 'generic' | undefined {
  return xdp === 'native' || xdp === 'generic' ? xdp : undefined
}

function isDefine(name: string): name is Define {
  return (defineNames as readonly string[]).includes(name)
}

export function definesFor(config: RecordedConfig): Defines {
  const inBpf = (name: Define): boolean =>
    config.iptables_masquerade !== true || !name.startsWith('ENABLE_MASQUERADE')
  const on: Define[] = always.filter(inBpf)
  if (config.tunnel === true) on.push('TUNNEL_MODE', 'HAVE_ENCAP')
  if (config.host_routing !== false) on.push('ENABLE_HOST_ROUTING')
  if (config.v6 === true)
    on.push('ENABLE_IPV6', 'ENABLE_IPV6_FRAGMENTS', ...(['ENABLE_MASQUERADE_IPV6'] as const).filter(inBpf))
  if (config.dsr === true) on.push('ENABLE_DSR')
  if (xdpMode(config) !== undefined) on.push('ENABLE_NODEPORT_ACCELERATION')
  if (config.sock_lb === true) on.push('ENABLE_SOCKET_LB_FULL')
  for (const [name] of definesNamed(config)) if (isDefine(name)) on.push(name)
  const defines = definesOf(on)
  return defines.ENABLE_EGRESS_GATEWAY ? { ...defines, HAVE_ENCAP: true } : defines
}

/** Settings of objects that a run may name as constants. */
const objectConstants = [
  'policy_verdict_log_filter',
  'device_mtu',
  'proxy_redirect_via_cilium_net',
  'encryption_strict_ingress',
] as const

const booleans: ReadonlySet<string> = new Set(['proxy_redirect_via_cilium_net', 'encryption_strict_ingress'])

/** Names of 1.10 for what 1.19 calls otherwise. */
const formerNames: Readonly<Record<string, Define>> = {
  ENABLE_MASQUERADE: 'ENABLE_MASQUERADE_IPV4',
  ENABLE_REDIRECT_FAST: 'ENABLE_HOST_ROUTING',
  ENABLE_HOST_SERVICES_FULL: 'ENABLE_SOCKET_LB_FULL',
  ENABLE_IP_MASQ_AGENT: 'ENABLE_IP_MASQ_AGENT_IPV4',
}

/** What changes nothing that a recording shows: how maps are allocated, what is counted beside, the unit of lives. */
const withoutEffect: ReadonlySet<string> = new Set([
  ...['PREALLOCATE_MAPS', 'NO_COMMON_MEM_MAPS', 'POLICY_ACCOUNTING', 'ENABLE_ACTIVE_CONNECTION_TRACKING'],
  ...['kernel_hz', 'enable_jiffies'],
])

/** What 1.10 switches on with the replacement of kube-proxy, as all runs have it. */
const always1_10: ReadonlySet<string> = new Set([
  ...['ENABLE_LOADBALANCER', 'ENABLE_EXTERNAL_IP', 'ENABLE_HOSTPORT', 'ENABLE_SESSION_AFFINITY'],
  ...['ENABLE_SRC_RANGE_CHECK', 'ENABLE_SKIP_FIB', 'ENABLE_FIB_LOOKUP_BYPASS'],
])

/** The defines of a run under their names of today; `extra` has some, too. */
function definesNamed({ defines = {}, extra = {} }: RecordedConfig): [string, number | null | undefined][] {
  const all = Object.entries({ ...(extra as Readonly<Record<string, number | null>>), ...defines })
  return all.map(([name, value]) => [formerNames[name] ?? name, value])
}

type Constant = number | boolean

/** The value of a constant in the type that it has here. */
function typed(name: string, value: number): Constant {
  const before: unknown = (defaultValues as unknown as Record<string, unknown>)[name]
  return typeof before === 'boolean' || booleans.has(name) ? value !== 0 : value
}

function constantsOf(config: RecordedConfig): [string, number][] {
  const numbers = definesNamed(config).filter(
    (entry): entry is [string, number] => !isDefine(entry[0]) && typeof entry[1] === 'number',
  )
  const constants = Object.entries(config.consts ?? {}).map(([name, value]): [string, number] => [
    name,
    Number(value),
  ])
  return [...constants, ...numbers]
}

function chosen(config: RecordedConfig, wanted: (name: string) => boolean): Record<string, Constant> {
  const entries = constantsOf(config).filter(([name]) => wanted(name))
  return Object.fromEntries(entries.map(([name, value]) => [name, typed(name, value)]))
}

/** Load-time constants and numeric defines of the node. */
export function nodeConstants(config: RecordedConfig): Partial<NodeValues> {
  return chosen(config, (name) => name in defaultValues)
}

export function objectConstantsOf(config: RecordedConfig): Partial<ObjectConfig> {
  return chosen(config, (name) => objectConstants.some((known) => known === name))
}

const known: Readonly<Record<string, readonly unknown[]>> = {
  tunnel: [true, false],
  dsr: [true, false],
  host_routing: [true, false],
  xdp: [false, 'native', 'generic'],
  debug: [false],
  v6: [true, false],
  lb: ['random', 'maglev', 'first'],
  sock_lb: [true, false],
  iptables_masquerade: [true, false],
}
/** Settings whose values are looked at elsewhere. */
const open = ['aggregation', 'tproxy', 'version', 'consts', 'defines', 'extra']

function settable(name: string, value: unknown): boolean {
  const usual: unknown = (defaultValues as unknown as Record<string, unknown>)[name]
  const known = ['number', 'boolean'].includes(typeof usual) || objectConstants.some((each) => each === name)
  return known && (typeof value === 'number' || typeof value === 'boolean')
}

function unknownDefine([name, value]: readonly [string, unknown]): boolean {
  if (withoutEffect.has(name) || always1_10.has(name)) return false
  return isDefine(name) ? value === 0 : !settable(name, value)
}

/** What of a configuration this reader does not understand. */
export function unknownSettings(config: RecordedConfig): string[] {
  const problems: string[] = []
  for (const [name, value] of Object.entries(config)) {
    if (open.includes(name)) continue
    if (known[name]?.includes(value) !== true) problems.push(`${name} ${JSON.stringify(value)}`)
  }
  for (const [name, value] of Object.entries(config.consts ?? {}))
    if (!withoutEffect.has(name) && !settable(name, value)) problems.push(`const ${name}`)
  for (const define of definesNamed(config))
    if (unknownDefine(define)) problems.push(`define ${define.join(' ')}`)
  return problems
}
