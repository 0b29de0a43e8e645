// For the tests of the datapath's parts: a node with maps, and functions that run inside of a program of an object, on a frame
// of their choice.
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import type { KernelServices, RunContext } from '../../bpf/contract.ts'
import type { AnyMap, MapOf } from '../../bpf/maps/create.ts'
import { runProgram } from '../../bpf/run.ts'
import { frameOf, tcContext, xdpContext } from '../../bpf/test-support/contexts.ts'
import { type IpAddress, parseIp } from '../../net/address.ts'
import { buildPacket } from '../../net/build.ts'
import { writeU16, writeU32 } from '../../net/bytes.ts'
import { hexToBytes } from '../../net/hex.ts'
import type { LayerSpec } from '../../net/layer-spec.ts'
import { macFrom } from '../../net/mac.ts'
import {
  defaultObject,
  defaultValues,
  type NodeConfig,
  type NodeValues,
  type ObjectConfig,
} from '../datapath/config.ts'
import type { Ctx, NodeMaps } from '../datapath/ctx.ts'
import { type Define, definesOf } from '../datapath/defines.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import {
  createNodeMaps,
  createPolicyMap,
  loadObject,
  type ObjectSource,
  programOf,
} from '../datapath/object.ts'
import { createLegacyNodeMaps, createLegacyPolicyMap } from '../legacy/object.ts'
import { Tuple } from '../maps/tuple.ts'

/** What a cluster of the usual kind has on. */
export const usualDefines: readonly Define[] = [
  'ENABLE_IPV4',
  'ENABLE_IPV6',
  'ENABLE_ROUTING',
  'ENABLE_NODEPORT',
  'ENABLE_IPV4_FRAGMENTS',
  'ENABLE_IPV6_FRAGMENTS',
  'ENABLE_SIP_VERIFICATION',
  'ENABLE_IDENTITY_MARK',
  'ENABLE_ARP_RESPONDER',
  'CONNTRACK_ACCOUNTING',
  'DROP_NOTIFY',
  'TRACE_NOTIFY',
  'POLICY_VERDICT_NOTIFY',
]

/** The constants of a pod: endpoint 101, 10.0.1.10, identity 5001. */
export const lxcObject: ObjectConfig = {
  ...defaultObject,
  kind: 'bpf_lxc',
  interface_ifindex: 21,
  interface_mac: 0x0e00_0000_1001,
  security_label: 5001,
  endpoint_id: 101,
  endpoint_ipv4: Uint8Array.of(10, 0, 1, 10),
  host_ep_id: 1,
}

/** A run that a test looks at afterwards. */
export interface Run<Result> {
  readonly result: Result
  /** The packet as the program left it. */
  readonly frame: Uint8Array
  readonly context: RunContext
}

/** A node of the tests. Its clock stands at `seconds` until a test moves it. */
export interface DatapathLab {
  readonly node: NodeConfig
  readonly maps: NodeMaps
  readonly policy: MapOf<'lpm_trie' | 'hash'>
  seconds: number
  /** Runs a function as a tc program on a frame. */
  run<Result>(frame: Uint8Array, inside: (ctx: Ctx) => Result): Run<Result>
  /** The same in XDP. */
  runXdp<Result>(frame: Uint8Array, inside: (ctx: Ctx) => Result): Run<Result>
  /** Runs a program of an object. The result is its return value. */
  runObject(source: ObjectSource, symbol: string, context: RunContext): Run<number>
}

/** Services of a kernel that finds this route for everything. */
export function routeTo(route: Partial<ReturnType<KernelServices['fibLookup']>>): Partial<KernelServices> {
  const found = {
    code: 0,
    ifindex: 3,
    gateway: [],
    sourceMac: 0x0a00_0000_0003,
    destinationMac: 0x0a00_0000_00fe,
    mtu: 1500,
    metric: 0,
    preferredSource: [],
  } as const
  return { fibLookup: () => ({ ...found, ...route }) }
}

/** A node with these settings, its maps empty. */
export function datapathLab(
  options: {
    readonly defines?: readonly Define[]
    readonly values?: Partial<NodeValues>
    readonly object?: Partial<ObjectConfig>
    /** The maps are those of 1.10. */
    readonly legacy?: boolean
    /** What the kernel answers to helpers. */
    readonly kernel?: Partial<KernelServices>
  } = {},
): DatapathLab {
  const node: NodeConfig = {
    ...definesOf(options.defines ?? usualDefines),
    ...defaultValues,
    ...options.values,
  }
  const object = { ...lxcObject, ...options.object }
  const maps = options.legacy === true ? createLegacyNodeMaps(1) : createNodeMaps(1)
  const make = options.legacy === true ? createLegacyPolicyMap : createPolicyMap
  const policy = make(object.endpoint_id, 1)
  const kernel: Partial<KernelServices> = { ...options.kernel, nowNs: () => lab.seconds * 1e9 }
  const lab: DatapathLab = {
    node,
    maps,
    policy,
    seconds: 1000,
    run: (frame, inside) => play('sched_cls', tcContext(frame, kernel), inside),
    runXdp: (frame, inside) => play('xdp', xdpContext(frame, kernel), inside),
    runObject: (source, symbol, context) => {
      const loaded = loadObject(source, { node, object, maps, policy, suffix: 'test', cpus: 1 })
      const result = runProgram(programOf(loaded, symbol), context)
      if (context.fault !== undefined) throw new Error(context.fault.message)
      return { result, frame: frameOf(context), context }
    },
  }
  function play<Result>(
    type: ObjectSource['type'],
    context: RunContext,
    inside: (ctx: Ctx) => Result,
  ): Run<Result> {
    let result: { readonly of: Result } | undefined
    const run = (ctx: Ctx): number => {
      result = { of: inside(ctx) }
      return 0
    }
    const source: ObjectSource = { type, entries: [{ symbol: 'test', run }], tails: new Map() }
    lab.runObject(source, 'test', context)
    if (result === undefined) throw new Error('the program did not come to its end')
    return { result: result.of, frame: frameOf(context), context }
  }
  return lab
}

/** Bytes of hexadecimal text; blanks do not count. */
export function hex(text: string): Uint8Array {
  const bytes = hexToBytes(text.replaceAll(/\s/g, ''))
  if (!(bytes instanceof Uint8Array)) throw new Error(text)
  return bytes
}

/** An address as text. */
export function ip(text: string): IpAddress {
  const address = parseIp(text)
  if (address === undefined) throw new Error(text)
  return address
}

/** The bytes of an address. */
export function addressBytes(text: string): Uint8Array {
  const address = ip(text)
  if (typeof address === 'number') {
    const bytes = new Uint8Array(4)
    writeU32(bytes, 0, address)
    return bytes
  }
  const bytes = new Uint8Array(16)
  address.forEach((word, at) => {
    writeU32(bytes, at * 4, word)
  })
  return bytes
}

/** Ethernet and IP around other layers, from `source` to `destination`. */
export function frame(source: string, destination: string, ...layers: readonly LayerSpec[]): Uint8Array {
  const ethernet = {
    kind: 'eth',
    source: macFrom(0x0a00_0000_1001),
    destination: macFrom(0x0e00_0000_1001),
  } as const
  const from = ip(source)
  const to = ip(destination)
  if (typeof from === 'number' && typeof to === 'number') {
    return buildPacket([ethernet, { kind: 'ip', source: from, destination: to }, ...layers])
  }
  if (typeof from === 'number' || typeof to === 'number') throw new Error(`${source} and ${destination}`)
  return buildPacket([ethernet, { kind: 'ip6', source: from, destination: to }, ...layers])
}

/** The tuple of a packet before its ports were read. */
export function packetTuple(source: string, destination: string, nexthdr: number): Tuple {
  const from = addressBytes(source)
  const family: Family = from.length === 4 ? ipv4 : ipv6
  const tuple = new Tuple(family)
  tuple.saddr = from
  tuple.daddr = addressBytes(destination)
  tuple.nexthdr = nexthdr
  return tuple
}

/** A stored tuple in the words of `cilium bpf ct list`: flags, protocol, original source and destination. */
export function entryText(key: Uint8Array): string {
  const tuple = Tuple.of(key)
  const { saddr, daddr, sport, dport, nexthdr, flags } = tuple
  return `${flags} proto ${nexthdr} ${[...daddr].join('.')}:${sport} -> ${[...saddr].join('.')}:${dport}`
}

/** All keys of a map. */
export function keysOf(map: AnyMap): Uint8Array[] {
  const keys: Uint8Array[] = []
  if (!('nextKey' in map)) return keys
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) keys.push(key)
  return keys
}

/** One rule in an endpoint's policy map. */
export interface PolicyRule {
  readonly egress?: boolean
  readonly identity?: number
  readonly protocol?: number
  readonly port?: number
  /** Bits of protocol and port that count: 0, 8, or 9 to 24. */
  readonly prefix: number
  readonly proxyPort?: number
  readonly deny?: boolean
  readonly precedence?: number
  readonly authType?: number
  readonly explicitAuth?: boolean
  readonly cookie?: number
}

/** Writes a rule as the agent does. */
export function addPolicy(map: MapOf<'lpm_trie'>, rule: PolicyRule): void {
  const key = new Uint8Array(12)
  writeLe32(key, 0, 40 + rule.prefix)
  writeLe32(key, 4, rule.identity ?? 0)
  key[8] = rule.egress === true ? 1 : 0
  key[9] = rule.protocol ?? 0
  writeU16(key, 10, rule.port ?? 0)
  const value = new Uint8Array(12)
  writeU16(value, 0, rule.proxyPort ?? 0)
  value[2] = (rule.deny === true ? 1 : 0) | (rule.prefix << 3)
  value[3] = (rule.authType ?? 0) | (rule.explicitAuth === true ? 0x80 : 0)
  writeLe32(value, 4, rule.precedence ?? (rule.deny === true ? 0xffff_ffff : 0xffff_ff01))
  writeLe32(value, 8, rule.cookie ?? 0)
  if (map.update(key, value, 0, 0) !== 0) throw new Error('policy map')
}
