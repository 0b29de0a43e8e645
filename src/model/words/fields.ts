// The fields that tests and expectations may name, with the kind of value each takes and where it exists. Header fields
// come from src/net; what lies beside a packet (metadata) and what only a trace knows is listed here.
import { parseFieldPath, specOfPath } from '../../net/field-path.ts'
import { fieldLayers } from '../../net/fields.ts'

export type FieldKind = 'number' | 'boolean' | 'address' | 'mac' | 'flags' | 'endpoint' | 'text' | 'layer'

export interface FieldInfo {
  /** The name that src/net knows: `vlan.id` is `vlan.vid` there. */
  readonly path: string
  readonly kind: FieldKind
  /** The largest number that fits. */
  readonly max: number
  readonly family?: 4 | 6
  /** `packet`: bytes of the frame, `skb`: beside it from tc on, `any`: in XDP and tc, `trace`: only in expectations. */
  readonly where: 'packet' | 'skb' | 'any' | 'trace' | 'sock'
  /** Whether a program may set it. */
  readonly writable: boolean
}

/** The language's names where they are not those of src/net. */
const aliases: Readonly<Record<string, string>> = {
  'vlan.id': 'vlan.vid',
  'vlan.pcp': 'vlan.priority',
  'ip6.nexthdr': 'ip6.next',
  'vxlan.gbp': 'vxlan.group',
  'geneve.proto': 'geneve.type',
}

const u32 = 0xffff_ffff
type Extra = readonly [kind: FieldKind, max: number, where: FieldInfo['where'], writable?: 'set']

const beside: Readonly<Record<string, Extra>> = {
  mark: ['number', u32, 'skb', 'set'],
  meta: ['number', u32, 'any', 'set'],
  tstamp: ['number', Number.MAX_SAFE_INTEGER, 'skb', 'set'],
  now: ['number', Number.MAX_SAFE_INTEGER, 'any'],
  ifindex: ['number', u32, 'any'],
  iif: ['number', u32, 'any'],
  gso_size: ['number', 0xffff, 'skb'],
  gso_segs: ['number', 0xffff, 'skb'],
  wire_len: ['number', u32, 'skb'],
  hash: ['number', u32, 'skb'],
  protocol: ['number', 0xffff, 'skb'],
  priority: ['number', u32, 'skb', 'set'],
  queue: ['number', 0xffff, 'any', 'set'],
  tc_index: ['number', u32, 'skb', 'set'],
  tc_classid: ['number', u32, 'skb', 'set'],
  cb0: ['number', u32, 'skb', 'set'],
  cb1: ['number', u32, 'skb', 'set'],
  cb2: ['number', u32, 'skb', 'set'],
  cb3: ['number', u32, 'skb', 'set'],
  cb4: ['number', u32, 'skb', 'set'],
  'packet.len': ['number', u32, 'any'],
  'packet.type': ['number', 255, 'skb', 'set'],
  'packet.payload': ['text', 0, 'trace'],
  'packet.head': ['number', u32, 'any'],
  'packet.frame': ['number', u32, 'any'],
  'tunnel.vni': ['number', 0xff_ffff, 'skb'],
  'tunnel.remote': ['address', 0, 'skb'],
  'tunnel.local': ['address', 0, 'skb'],
  'tunnel.ttl': ['number', 255, 'skb'],
  'tunnel.tos': ['number', 255, 'skb'],
  hops: ['number', u32, 'trace'],
  time: ['number', Number.MAX_SAFE_INTEGER, 'trace'],
  payload: ['text', 0, 'trace'],
  'source.identity': ['number', u32, 'trace'],
  'dest.identity': ['number', u32, 'trace'],
  identity: ['number', u32, 'trace'],
  'proxy.port': ['number', 0xffff, 'trace'],
  'sock.family': ['number', 255, 'sock'],
  'sock.type': ['number', 255, 'sock'],
  'sock.protocol': ['number', 255, 'sock'],
  'sock.user_ip4': ['address', 0, 'sock', 'set'],
  'sock.user_ip6': ['address', 0, 'sock', 'set'],
  'sock.user_port': ['number', 0xffff, 'sock', 'set'],
  'sock.mark': ['number', u32, 'sock', 'set'],
  'sock.cookie': ['number', u32, 'sock'],
  'http.method': ['text', 0, 'trace'],
  'http.path': ['text', 0, 'trace'],
  'http.url': ['text', 0, 'trace'],
  'http.host': ['text', 0, 'trace'],
  'http.status': ['number', 599, 'trace'],
  'http.header': ['text', 0, 'trace'],
  'dns.name': ['text', 0, 'trace'],
  'dns.type': ['text', 0, 'trace'],
  'dns.rcode': ['text', 0, 'trace'],
  'ip.ihl': ['number', 15, 'packet'],
  'ip.version': ['number', 15, 'packet'],
  'ip.opt': ['layer', 0, 'packet'],
  'ip6.frag': ['number', 0xfff8, 'packet'],
  'ip6.id': ['number', u32, 'packet'],
  'ip6.mf': ['boolean', 1, 'packet'],
  'ip6.opt.dsr': ['endpoint', 0, 'packet'],
  'tcp.sack': ['boolean', 1, 'packet'],
  'tcp.ts': ['number', u32, 'packet'],
  'tcp.doff': ['number', 15, 'packet'],
  'icmp6.lladdr': ['mac', 0, 'packet'],
  'geneve.opt.dsr': ['endpoint', 0, 'packet'],
  'geneve.opt': ['layer', 0, 'packet'],
  'geneve.flags': ['number', 255, 'packet'],
  gre: ['layer', 0, 'packet'],
  'gre.proto': ['number', 0xffff, 'packet'],
  'gre.key': ['number', u32, 'packet'],
  http: ['layer', 0, 'trace'],
  dns: ['layer', 0, 'trace'],
}

/** Whether an expectation can read a field: it is in the bytes of a packet, or a trace keeps it. */
export function isInTraces({ path, kind }: FieldInfo): boolean {
  if (keptInTraces.has(path) || /^(http|dns)(\.|$)/.test(path)) return true
  const parsed = parseFieldPath(path)
  if (parsed !== undefined && specOfPath(parsed) !== undefined) return true
  return kind === 'layer' && (fieldLayers as readonly string[]).includes(path.replace(/^outer\./, ''))
}

const keptInTraces: ReadonlySet<string> = new Set([
  'mark',
  'meta',
  'packet.len',
  'packet.type',
  'hops',
  'time',
  'payload',
  'packet.payload',
])

/** What only the notifications of Cilium's programs tell. */
export function isNotified(path: string): boolean {
  return notified.has(path)
}

const notified: ReadonlySet<string> = new Set(['identity', 'source.identity', 'dest.identity', 'proxy.port'])

/** Fields of 64 bits: beside them a duration is a number of nanoseconds, and sums have 64 bits too. */
export function isLongField(path: string): boolean {
  return path === 'tstamp' || path === 'now' || path === 'time'
}

/** The name of something beside a packet that a program can compute with, as a word: `mark`, `now`. */
export function isBesideWord(text: string): boolean {
  const extra = Object.hasOwn(beside, text) ? beside[text] : undefined
  return extra?.[0] === 'number' && extra[2] !== 'trace' && !text.includes('.')
}

/** What cg_skb_is_valid_access() keeps from programs of a cgroup, and what lies before the IP header. */
export function isHiddenFromCgroups(path: string): boolean {
  return (
    path === 'meta' ||
    path === 'tc_classid' ||
    path === 'wire_len' ||
    /^(tunnel|eth|vlan|arp)(\.|$)/.test(path)
  )
}

/** What programs of a cgroup may change. */
export function cgroupMaySet(path: string): boolean {
  return /^(mark|priority|tstamp|cb[0-4])$/.test(path)
}

/** Header fields that need a walk through options, which small programs do not make. */
const behindOptions: ReadonlySet<string> = new Set([
  'ip.opt',
  'ip.opt.dsr',
  'ip6.frag',
  'ip6.id',
  'ip6.mf',
  'ip6.opt.dsr',
  'tcp.mss',
  'tcp.wscale',
  'tcp.sack',
  'tcp.ts',
  'tcp.len',
  'sctp.chunk',
  'icmp6.target',
  'icmp6.lladdr',
  'vxlan.group',
  'geneve.opt',
  'geneve.opt.dsr',
  'geneve.flags',
  'gre',
  'gre.proto',
  'gre.key',
  'packet.head',
  'packet.frame',
])

/** Whether small programs can read a field that their type can see. */
export function isInPrograms({ path }: FieldInfo): boolean {
  return !behindOptions.has(path)
}

const known = new Map<string, FieldInfo | undefined>()

/** What is known of a field, or undefined for a name that there is not. */
export function fieldInfo(path: string): FieldInfo | undefined {
  if (!known.has(path)) known.set(path, find(path))
  return known.get(path)
}

function find(path: string): FieldInfo | undefined {
  const depth = /^(outer|inner)\./.exec(path)?.[0] ?? ''
  const own = path.slice(depth.length)
  // Plain names speak of the innermost packet anyway, see net/field-path.ts.
  const canonical = `${depth === 'outer.' ? depth : ''}${aliases[own] ?? own}`
  const found = layerField(own, canonical) ?? headerField(canonical) ?? besideField(own)
  if (found === undefined || depth === '') return found
  return { ...found, path: canonical, where: 'trace', writable: false }
}

function layerField(name: string, path: string): FieldInfo | undefined {
  if (!(fieldLayers as readonly string[]).includes(name)) return undefined
  return { path, kind: 'layer', max: 0, where: 'packet', writable: false }
}

function headerField(path: string): FieldInfo | undefined {
  const parsed = parseFieldPath(path)
  const spec = parsed && specOfPath(parsed)
  if (parsed === undefined || spec === undefined) return undefined
  const base = { path, max: spec.maximum, where: 'packet', writable: spec.write !== undefined } as const
  switch (spec.type) {
    case 'ipv4':
      return parsed.layer === undefined
        ? { ...base, kind: 'address' }
        : { ...base, kind: 'address', family: 4 }
    case 'ipv6':
      return { ...base, kind: 'address', family: 6 }
    case 'bytes':
      return { ...base, kind: 'text' }
    default:
      return { ...base, kind: spec.type }
  }
}

function besideField(path: string): FieldInfo | undefined {
  const extra = Object.hasOwn(beside, path) ? beside[path] : undefined
  if (extra === undefined) return undefined
  const [kind, max, where, set] = extra
  const family = path.endsWith('ip4') ? 4 : path.endsWith('ip6') ? 6 : undefined
  const info = { path, kind, max, where, writable: set === 'set' }
  return family === undefined ? info : { ...info, family }
}

/** What a field's value looks like, for messages. */
export function kindText(info: FieldInfo): string {
  switch (info.kind) {
    case 'number':
      return `a number up to ${info.max}`
    case 'boolean':
      return '0 or 1'
    case 'address':
      return info.family === 6 ? 'an IPv6 address' : info.family === 4 ? 'an IPv4 address' : 'an address'
    case 'mac':
      return 'a MAC address'
    case 'flags':
      return 'TCP flags such as `syn+ack`'
    case 'endpoint':
      return 'an address with a port'
    case 'text':
      return 'a text'
    case 'layer':
      return 'nothing: it is there or not'
  }
}
