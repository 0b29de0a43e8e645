// Everything a namespace knows about IP: addresses, routing tables, rules, neighbours, path MTUs, fragments, limits.
// Tables appear when something is put into them, so that an empty namespace costs almost nothing.
import type { IpAddress } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import { createNeighbourTable, type NeighbourOps, type NeighbourTable } from '../neighbour-table.ts'
import type { Skb } from '../skb.ts'
import { AddressMap } from './address-map.ts'
import type { FibTable } from './fib.ts'
import type { FragmentQueue } from './fragment-queue.ts'
import type { Rule } from './rule.ts'

/** An address of a device (struct in_ifaddr, inet6_ifaddr). */
export interface InterfaceAddress {
  readonly device: NetDevice
  readonly address: IpAddress
  readonly length: number
  /** RT_SCOPE_*. */
  readonly scope: number
  readonly broadcast: IpAddress | undefined
  /** IFA_F_SECONDARY: another address of the same subnet came first (IPv4). */
  readonly secondary: boolean
}

/** What an ICMP error tells a transport protocol about one of its own packets. */
export interface IcmpError {
  readonly family: 4 | 6
  readonly type: number
  readonly code: number
  /** Next-hop MTU of "fragmentation needed" and "packet too big", gateway of a redirect, otherwise 0. */
  readonly info: number
  /** Offset in `skb.bytes` of the quoted IP header, and one past the last quoted byte. */
  readonly quote: number
  readonly quoteEnd: number
  /** Offset of the quoted transport header. */
  readonly quoteTransport: number
}

/** A transport protocol (struct net_protocol, inet6_protocol): registered by socket/. */
export interface TransportHandler {
  /**
   * A packet for this namespace, after INPUT and reassembly: `skb.networkHeader` stands at the IP header, `skb.data` at
   * the transport header, `skb.tail` at the end of the IP payload. The handler owns the packet from here on.
   */
  readonly receive: (skb: Skb, family: 4 | 6) => void
  /** An ICMP error quotes a packet of this protocol (err_handler). False when no socket was found (IcmpInErrors). */
  readonly error: (skb: Skb, error: IcmpError) => boolean
}

/** An ICMP error to send (IPv4): see icmp-send.ts. */
export interface IcmpErrorSpec {
  readonly type: number
  readonly code: number
  /** The second word: next-hop MTU, gateway address, pointer shifted left by 24; else 0. */
  readonly info: number
}

/** How a packet came to a route that transforms it. */
export interface TransformOptions {
  /** The device that it came in by, of a packet that is forwarded. */
  readonly input?: NetDevice
  /** IPSKB_REROUTED: it has passed POSTROUTING, which led it to this route. */
  readonly rerouted?: boolean
  /** skb->ignore_df. */
  readonly ignoreDontFragment?: boolean
}

/** What is registered once for a machine: by protocol number, by family, and what is called in circles. */
export interface IpStack {
  readonly transports: Map<number, TransportHandler>
  readonly neighbourOps: Map<4 | 6, NeighbourOps>
  /** Echo and raw ICMP sockets: get echo replies (`skb.data` at the ICMP header) and errors about their requests. */
  ping: TransportHandler | undefined
  /** icmp_send(); output.ts reaches it through here, because it sends by output.ts. */
  sendError: (skb: Skb, spec: IcmpErrorSpec) => void
  /** icmpv6_send(), for the same reason. */
  sendError6: (skb: Skb, spec: IcmpErrorSpec) => void
  /** xfrm4_output(), xfrm6_output(): output of a route that transforms, which ends in output again. */
  transform: (ns: Namespace, skb: Skb, options: TransformOptions) => number
}

/** A stack that speaks no protocol yet: one for all namespaces of a machine. */
export function createIpStack(): IpStack {
  const nothing = (): void => undefined
  return {
    transports: new Map(),
    neighbourOps: new Map(),
    ping: undefined,
    sendError: nothing,
    sendError6: nothing,
    transform: () => 0,
  }
}

/** A learned property of one destination (struct fib_nh_exception): path MTU (600 s) or another gateway (300 s). */
export interface RouteException {
  readonly destination: IpAddress
  readonly device: NetDevice
  gateway: IpAddress | undefined
  /** 0 when only the gateway was learned. */
  mtu: number
  /** Virtual time at which it is forgotten. */
  expires: number
}

/** Token buckets per remote address (struct inet_peer). Times in nanoseconds. */
export interface Peer {
  tokens: number
  last: number
  redirects: number
}

/** The part of the state that each family has for itself. */
export interface FamilyState {
  readonly family: 4 | 6
  readonly tables: Map<number, FibTable>
  /** Sorted by priority; undefined while only the built-in rules exist. */
  rules: Rule[] | undefined
  /** By ifindex, in order of addition. */
  readonly addresses: Map<number, InterfaceAddress[]>
  /** Every own address (inet_lookup_ifaddr); several devices may have the same one. */
  readonly own: AddressMap<InterfaceAddress[]>
  readonly neighbours: NeighbourTable
  /** By destination. */
  readonly exceptions: AddressMap<RouteException>
  readonly peers: AddressMap<Peer>
  /** Reassembly queues by datagram, see fragment-queue.ts. */
  readonly fragments: Map<number, FragmentQueue[]>
  /** Rises whenever routes, rules or addresses change; caches compare it. */
  generation: number
}

/** struct netns_ipv4 and netns_ipv6. */
export interface IpState {
  readonly ns: Namespace
  readonly v4: FamilyState
  /** Made when it is first asked for; see `whenAsked6`. */
  readonly v6: FamilyState
  /** Whether anybody has asked for `v6`: until then it has no neighbours and no learned routes. */
  readonly asked6: boolean
  /**
   * Does IPv6 work that nothing but `v6` shows (link-local addresses and their routes): now, or when `v6` is first asked
   * for. Every device brings some, and most scenarios never look.
   */
  readonly whenAsked6: (work: () => void) => void
  readonly stack: IpStack
  readonly transports: Map<number, TransportHandler>
  /** Identification counters by destination, then by source and protocol. */
  readonly identifiers: Map<number, Map<number, number>>
  /** The bucket of all ICMP errors (icmp_msgs_per_sec). */
  icmpCredit: number
  icmpFilled: number
  /**
   * Neighbours known from the start (REACHABLE, confirmed at time 0): the MAC address of an address on a device's link.
   * Asked when an entry is made, so that a warm machine of ten thousand namespaces stores nothing.
   */
  warm: ((dev: NetDevice, address: IpAddress) => number | undefined) | undefined
}

function createFamily(ns: Namespace, family: 4 | 6): FamilyState {
  return {
    family,
    tables: new Map(),
    rules: undefined,
    addresses: new Map(),
    own: new AddressMap(),
    neighbours: createNeighbourTable(ns, family, ns.machine.ipStack.neighbourOps),
    exceptions: new AddressMap(),
    peers: new AddressMap(),
    fragments: new Map(),
    generation: 0,
  }
}

class State implements IpState {
  readonly ns: Namespace
  readonly v4: FamilyState
  readonly stack: IpStack
  readonly transports: Map<number, TransportHandler>
  readonly identifiers = new Map<number, Map<number, number>>()
  icmpCredit = 0
  icmpFilled = Number.NEGATIVE_INFINITY
  warm: IpState['warm'] = undefined
  private six: FamilyState | undefined = undefined
  private waiting: (() => void)[] = []

  constructor(ns: Namespace) {
    this.ns = ns
    this.v4 = createFamily(ns, 4)
    this.stack = ns.machine.ipStack
    this.transports = this.stack.transports
  }

  get v6(): FamilyState {
    return this.six ?? this.make6()
  }

  get asked6(): boolean {
    return this.six !== undefined
  }

  whenAsked6(work: () => void): void {
    if (this.six === undefined) this.waiting.push(work)
    else work()
  }

  private make6(): FamilyState {
    const made = createFamily(this.ns, 6)
    this.six = made
    for (const work of this.waiting) work()
    this.waiting = []
    return made
  }
}

/** The empty state of a namespace; `ns.machine` must be set. Loopback addresses are added when `lo` comes up. */
export function createIpState(ns: Namespace): IpState {
  return new State(ns)
}

/** The state of one family. */
export function familyState(ns: Namespace, family: 4 | 6): FamilyState {
  return family === 4 ? ns.ip.v4 : ns.ip.v6
}

/** Protocols that one family has alone; the others are registered for both. */
const foreign: Readonly<Record<4 | 6, readonly number[]>> = {
  4: [ipProtocol.icmp6],
  6: [ipProtocol.icmp, ipProtocol.igmp],
}

/** Who takes a protocol in a family (inet_protos, inet6_protos). */
export function handlerOf(ns: Namespace, family: 4 | 6, protocol: number): TransportHandler | undefined {
  return foreign[family].includes(protocol) ? undefined : ns.ip.transports.get(protocol)
}
