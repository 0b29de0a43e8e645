// Packets that a node receives, from a native device or from its own stack by way of cilium_host, on their way to a pod:
// services, host firewall, local delivery, tunnel. bpf_host.c handle_ipv4(), handle_ipv4_cont() and their tail calls

import { loadCtBuffer, storeCtBuffer } from '../datapath/ct-buffer.ts'
import { type Ctx, cb, isError } from '../datapath/ctx.ts'
import { drop, type Where, where } from '../datapath/drop-reason.ts'
import { encapAndRedirect } from '../datapath/encap.ts'
import { isHostDelivery, lookupEndpoint } from '../datapath/endpoints.ts'
import { ethernetBytes, macBytesOf, storeDestinationMac } from '../datapath/ethernet.ts'
import type { Family } from '../datapath/family.ts'
import { isL3Device, maybeAddL2Header, needsL2Header } from '../datapath/fib.ts'
import { ethernetLength, fragmentInfo, hasHeader, walkHeaders } from '../datapath/headers.ts'
import {
  hostPolicyEgressLookup,
  hostPolicyEgressVerdict,
  hostPolicyIngressLookup,
  hostPolicyIngressVerdict,
} from '../datapath/host-firewall.ts'
import { identity, isWorldOf, worldId } from '../datapath/identity.ts'
import { lookupRemoteEndpoint } from '../datapath/ipcache.ts'
import { localDelivery } from '../datapath/local-delivery.ts'
import { mark } from '../datapath/mark.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { nodeportLb } from '../datapath/nodeport.ts'
import { sendDrop, type TraceContext } from '../datapath/notify.ts'
import type { ObjectProgram } from '../datapath/object.ts'
import { skipHostFirewall, skipNodeport } from '../datapath/overloadable.ts'
import { isFromEgressProxy, isFromIngressProxy } from '../datapath/proxy.ts'
import { sameSubnet } from '../datapath/subnet.ts'
import { call } from '../datapath/tail-calls.ts'
import { traceReason } from '../datapath/trace-point.ts'
import { encapToVtep } from '../datapath/vtep.ts'
import { icmp6HostHandle, SKIP_HOST_FIREWALL } from './icmp6.ts'

/** FROM_HOST_FLAG_*: what handle_ipv4() tells its continuation. */
const fromHostFlag = { NEED_HOSTFW: 1 << 1, HOST_ID: 1 << 2 } as const

interface Places {
  readonly contFromHost: Where
  readonly contFromNetdev: Where
  readonly first: Where
}

const places: Readonly<Record<4 | 6, Places>> = {
  4: {
    contFromHost: where('bpf_host.c', 906),
    contFromNetdev: where('bpf_host.c', 923),
    first: where('bpf_host.c', 962),
  },
  6: {
    contFromHost: where('bpf_host.c', 440),
    contFromNetdev: where('bpf_host.c', 457),
    first: where('bpf_host.c', 496),
  },
}

/** The slots of the main path, by family. */
export const hostCalls = {
  4: {
    fromHost: call.IPV4_FROM_HOST,
    fromNetdev: call.IPV4_FROM_NETDEV,
    contFromHost: call.IPV4_CONT_FROM_HOST,
    contFromNetdev: call.IPV4_CONT_FROM_NETDEV,
  },
  6: {
    fromHost: call.IPV6_FROM_HOST,
    fromNetdev: call.IPV6_FROM_NETDEV,
    contFromHost: call.IPV6_CONT_FROM_HOST,
    contFromNetdev: call.IPV6_CONT_FROM_NETDEV,
  },
} as const

/** What a program of the main path knows about the packet's origin. */
export interface Origin {
  readonly source: number
  /** Of the source address; only asked for with the host firewall (1.10: and without masquerading in BPF). */
  readonly ipcacheSource: number
  readonly fromHost: boolean
}

/** What the first half comes to. */
interface FirstHalf {
  readonly result: number
  readonly puntToStack: boolean
}

function refusesFragment(ctx: Ctx, family: Family): number {
  const tracked = family.version === 4 ? ctx.node.ENABLE_IPV4_FRAGMENTS : ctx.node.ENABLE_IPV6_FRAGMENTS
  if (tracked) return 0
  const fragment = fragmentInfo(ctx, family, ethernetLength(ctx))
  if (typeof fragment === 'number') return fragment
  return fragment.isFragment ? drop.FRAG_NOSUPPORT : 0
}

/** ICMPv6 messages that go past the host firewall, and neighbour discovery. 0 to go on, SKIP_HOST_FIREWALL, or the end. */
function handleIcmp6(ctx: Ctx, family: Family, fromHost: boolean): number {
  if (family.version === 4 || (!ctx.node.ENABLE_HOST_FIREWALL && fromHost)) return 0
  const l3Offset = ethernetLength(ctx)
  const walk = walkHeaders(ctx, family, l3Offset)
  if (typeof walk === 'number') return walk
  if (walk.nexthdr !== family.icmp) return 0
  return icmp6HostHandle(ctx, l3Offset + walk.length, !fromHost)
}

/** The lookup half of the host firewall; flags for the continuation, or a drop reason. */
function lookupHostFirewall(ctx: Ctx, family: Family, origin: Origin): number {
  const { source, fromHost } = origin
  if (!fromHost && skipHostFirewall(ctx)) return 0
  if (!fromHost && !hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  const buffer = fromHost ? hostPolicyEgressLookup(ctx, family, origin) : hostPolicyIngressLookup(ctx, family)
  if (buffer === undefined) return 0
  if (buffer.result.status < 0) return buffer.result.status
  const stored = storeCtBuffer(ctx, family, buffer)
  if (stored < 0) return stored
  const isHostId = fromHost && source === identity.HOST_ID
  return fromHostFlag.NEED_HOSTFW | (isHostId ? fromHostFlag.HOST_ID : 0)
}

/** handle_ipv4(), handle_ipv6() */
function handle(ctx: Ctx, family: Family, origin: Origin): FirstHalf {
  const done = (result: number): FirstHalf => ({ result, puntToStack: false })
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return done(drop.INVALID)
  const refused = refusesFragment(ctx, family)
  if (refused !== 0) return done(refused)
  const icmp = handleIcmp6(ctx, family, origin.fromHost)
  if (isError(ctx, icmp)) return done(icmp)
  if (ctx.node.ENABLE_NODEPORT && !origin.fromHost && !skipNodeport(ctx)) {
    const service = nodeportLb(ctx, family, origin.source)
    if (service.result < 0 || service.result === ctx.act.REDIRECT || service.puntToStack) return service
  }
  if (!ctx.node.ENABLE_HOST_FIREWALL) return done(ctx.act.OK)
  const flags = icmp === SKIP_HOST_FIREWALL ? 0 : lookupHostFirewall(ctx, family, origin)
  if (flags < 0) return done(flags)
  ctx.setMeta(cb.FROM_HOST, flags)
  return done(ctx.act.OK)
}

/** Where the packet's last stretch comes from. */
interface Sender {
  readonly source: number
  readonly fromHost: boolean
  readonly fromProxy: boolean
  /** Magic of the mark for cil_to_container. */
  readonly magic: number
}

function senderOf(ctx: Ctx, source: number, fromHost: boolean): Sender {
  let magic: number = mark.IDENTITY
  if (fromHost && isFromIngressProxy(ctx)) magic = mark.PROXY_INGRESS
  if (fromHost && isFromEgressProxy(ctx)) magic = mark.PROXY_EGRESS
  return { source, fromHost, fromProxy: magic !== mark.IDENTITY, magic }
}

/** The second half of the host firewall. CTX_ACT_OK to go on. */
function hostFirewall(ctx: Ctx, family: Family, sender: Sender, trace: TraceContext): number {
  const flags = ctx.takeMeta(cb.FROM_HOST)
  if ((flags & fromHostFlag.NEED_HOSTFW) === 0) return ctx.act.OK
  const buffer = loadCtBuffer(ctx, family)
  if (buffer === undefined) return drop.INVALID_TC_BUFFER
  if (!sender.fromHost) {
    const before = family.version === 4 ? 0 : worldId(ctx.node, family)
    return hostPolicyIngressVerdict(ctx, buffer, before, trace).verdict
  }
  const isHostId = (flags & fromHostFlag.HOST_ID) !== 0
  return hostPolicyEgressVerdict(ctx, { isHostId, isFromProxy: sender.fromProxy }, buffer, trace)
}

/** Delivery to an endpoint of this node; undefined where the address is none of them. */
function deliver(ctx: Ctx, family: Family, sender: Sender): number | undefined {
  const { source, fromHost, magic } = sender
  let l3Offset = ethernetLength(ctx)
  const address = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const endpoint = lookupEndpoint(ctx, family, address)
  if (endpoint === undefined) return undefined
  if (isHostDelivery(endpoint)) return ctx.act.OK
  const needsHeader = !fromHost && isL3Device(ctx) && needsL2Header(ctx, endpoint.ifindex)
  if (ctx.node.ENABLE_HOST_ROUTING && needsHeader) {
    const added = maybeAddL2Header(ctx)
    if (added !== 0) return added
    l3Offset += ethernetBytes
    if (family.version === 4 && !hasHeader(ctx, family, l3Offset)) return drop.INVALID
  }
  return localDelivery(ctx, family, {
    l3Offset,
    source,
    magic,
    endpoint,
    direction: metricDirection.INGRESS,
    fromHost,
    fromTunnel: false,
    clusterId: 0,
  })
}

/** A packet of the host's stack for another node: tunnel, or back to the stack for routing. */
function forwardFromHost(ctx: Ctx, family: Family, sender: Sender, trace: TraceContext): number {
  const { source } = sender
  const l3Offset = ethernetLength(ctx)
  const vtep = encapToVtep(ctx, family, source, trace)
  if (vtep !== undefined) return vtep
  const destination = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  if (ctx.node.TUNNEL_MODE && remote?.hasTunnelEndpoint === true && !remote.skipTunnel) {
    if (!sameSubnet(ctx, family, l3Offset)) {
      const { etherType } = family
      return encapAndRedirect(ctx, { remote, source, destination: remote.secIdentity, trace, etherType })
    }
  }
  if (sender.fromProxy) {
    ctx.mark = mark.SKIP_TPROXY
    return ctx.act.OK
  }
  const unroutable = remote === undefined || isWorldOf(ctx.node, family, remote.secIdentity)
  return unroutable ? drop.UNROUTABLE : ctx.act.OK
}

/** handle_ipv4_cont(), handle_ipv6_cont() */
function handleCont(ctx: Ctx, family: Family, source: number, fromHost: boolean): number {
  const trace: TraceContext = { reason: traceReason.UNKNOWN, monitor: ctx.node.trace_payload_len }
  const sender = senderOf(ctx, source, fromHost)
  if (!hasHeader(ctx, family, ethernetLength(ctx))) return drop.INVALID
  if (ctx.node.ENABLE_HOST_FIREWALL) {
    const verdict = hostFirewall(ctx, family, sender, trace)
    if (isError(ctx, verdict) || verdict === ctx.act.REDIRECT) return verdict
  }
  // without host routing what arrives is left to the kernel's routing
  if (!ctx.node.ENABLE_HOST_ROUTING && !fromHost) return ctx.act.OK
  const delivered = deliver(ctx, family, sender)
  if (delivered !== undefined) return delivered
  return fromHost ? forwardFromHost(ctx, family, sender, trace) : ctx.act.OK
}

/** tail_handle_ipv4_cont(): what goes back to the stack from cilium_host arrives at cilium_net, and is for the host there. */
function contThenHost(ctx: Ctx, family: Family, source: number, fromHost: boolean): number {
  const result = handleCont(ctx, family, source, fromHost)
  if (!fromHost || result !== ctx.act.OK) return result
  const mac = macBytesOf(ctx.node.CILIUM_NET_MAC)
  return storeDestinationMac(ctx, mac) < 0 ? drop.WRITE_ERROR : ctx.act.OK
}

/** tail_handle_ipv4_cont_from_host(), tail_handle_ipv4_cont_from_netdev() and their IPv6 siblings. */
function tailCont(ctx: Ctx, family: Family, fromHost: boolean): number {
  const source = ctx.takeMeta(cb.SRC_LABEL)
  const result = contThenHost(ctx, family, source, fromHost)
  if (!isError(ctx, result)) return result
  const { contFromHost, contFromNetdev } = places[family.version]
  const place = fromHost ? contFromHost : contFromNetdev
  return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS }, place)
}

/** tail_handle_ipv4(), tail_handle_ipv6() */
function tailHandle(ctx: Ctx, family: Family, fromHost: boolean): number {
  const firewall = ctx.node.ENABLE_HOST_FIREWALL
  const ipcacheSource = fromHost && firewall ? ctx.takeMeta(cb.IPCACHE_SRC_LABEL) : 0
  const source = ctx.takeMeta(cb.SRC_LABEL)
  const first = handle(ctx, family, { source, ipcacheSource, fromHost })
  let { result } = first
  if (result === ctx.act.OK) {
    if (first.puntToStack) return result
    if (firewall) {
      const { contFromHost, contFromNetdev } = hostCalls[family.version]
      ctx.setMeta(cb.SRC_LABEL, source)
      result = ctx.tailCall(fromHost ? contFromHost : contFromNetdev)
    } else result = contThenHost(ctx, family, source, fromHost)
  }
  if (!isError(ctx, result)) return result
  return sendDrop(ctx, result, { source, direction: metricDirection.INGRESS }, places[family.version].first)
}

/** The tail calls of one family of the main path. */
export function hostForwardTails(family: Family): [number, ObjectProgram][] {
  const name = `tail_handle_ipv${family.version}`
  const { fromHost, fromNetdev, contFromHost, contFromNetdev } = hostCalls[family.version]
  return [
    [fromHost, { symbol: `${name}_from_host`, run: (ctx) => tailHandle(ctx, family, true) }],
    [fromNetdev, { symbol: `${name}_from_netdev`, run: (ctx) => tailHandle(ctx, family, false) }],
    [contFromHost, { symbol: `${name}_cont_from_host`, run: (ctx) => tailCont(ctx, family, true) }],
    [contFromNetdev, { symbol: `${name}_cont_from_netdev`, run: (ctx) => tailCont(ctx, family, false) }],
  ]
}
