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
  for (const name of Object.keys(config.defines ?? {})) if (isDefine(name)) on.push(name)
  const defines = definesOf(on)
  return defines.ENABLE_EGRESS_GATEWAY ? { ...defines, HAVE_ENCAP: true } : defines
}

/** Settings of objects that a run may name as constants. */
const objectConstants = ['policy_verdict_log_filter', 'device_mtu', 'proxy_redirect_via_cilium_net'] as const

type Constant = number | boolean

/** The value of a constant in the type that it has here. */
function typed(name: string, value: number): Constant {
  const before: unknown = (defaultValues as unknown as Record<string, unknown>)[name]
  return typeof before === 'boolean' || name === 'proxy_redirect_via_cilium_net' ? value !== 0 : value
}

function constantsOf(config: RecordedConfig): [string, number][] {
  const numbers = Object.entries(config.defines ?? {}).filter(
    (entry): entry is [string, number] => !isDefine(entry[0]) && entry[1] !== null,
  )
  return [...Object.entries(config.consts ?? {}), ...numbers]
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
  lb: ['random', 'maglev'],
  sock_lb: [true, false],
  iptables_masquerade: [true, false],
}
/** Settings whose values are looked at elsewhere. */
const open = ['aggregation', 'tproxy', 'version']

/** What of a configuration this reader does not understand. */
export function unknownSettings(config: RecordedConfig): string[] {
  const problems: string[] = []
  for (const [name, value] of Object.entries(config)) {
    if (name === 'consts' || name === 'defines' || open.includes(name)) continue
    if (name === 'extra') {
      if (Object.keys(value as object).length > 0) problems.push(`extra ${JSON.stringify(value)}`)
    } else if (known[name]?.includes(value) !== true) problems.push(`${name} ${JSON.stringify(value)}`)
  }
  const settable = (name: string, value: unknown): boolean =>
    typeof value === 'number' &&
    ((name in defaultValues &&
      ['number', 'boolean'].includes(typeof (defaultValues as unknown as Record<string, unknown>)[name])) ||
      objectConstants.some((constant) => constant === name))
  for (const [name, value] of Object.entries(config.consts ?? {}))
    if (!settable(name, value)) problems.push(`const ${name}`)
  for (const [name, value] of Object.entries(config.defines ?? {})) {
    if (isDefine(name) ? value === 0 : !settable(name, value)) problems.push(`define ${name} ${value}`)
  }
  return problems
}
