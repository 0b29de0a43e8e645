// What every function of the datapath is given: the packet and its metadata, the helpers, the maps and the settings of the
// object it runs in. Cilium's C has one source for tc and XDP and chooses the context at compile time
// (include/bpf/ctx/skb.h, xdp.h, lib/overloadable_*.h); here two classes stand behind one interface.
import type { Packet } from '../../bpf/context/packet.ts'
import type { AnyMap, MapOf } from '../../bpf/maps/create.ts'
import type { LegacyNodeMaps } from '../legacy/specs.ts'
import type { NodeMapName, nodeMapSpecs } from '../maps/specs.ts'
import type { NodeConfig, ObjectConfig } from './config.ts'

/** The pinned maps of a node, alive; those of Cilium 1.10 where that runs on it. */
export type NodeMaps = {
  readonly [Name in NodeMapName]: MapOf<(typeof nodeMapSpecs)[Name]['type']>
} & Partial<LegacyNodeMaps>

/** The maps of one object: those of the node and its private ones. */
export type ObjectMaps = NodeMaps & {
  readonly calls: MapOf<'prog_array'>
  /** The endpoint's policy; for bpf_host the host endpoint's. Undefined where no policy can be asked. */
  readonly policy: MapOf<'lpm_trie' | 'hash'> | undefined
  readonly tailCallBuffer4: MapOf<'percpu_array'>
  readonly tailCallBuffer6: MapOf<'percpu_array'>
  /** ct_tuple_storage: the IPv6 tuple of the packet that was masqueraded last. lib/nat.h */
  readonly ctTuple6: MapOf<'percpu_array'>
  /** What the egress gateway asked routes of IPv6 with the last time. */
  readonly fibParams6: MapOf<'percpu_array'>
  readonly dsrNatBuffer: MapOf<'percpu_array'>
  /** Used by XDP programs alone: what cb is to tc. */
  readonly xdpScratch: MapOf<'percpu_array'>
  /** cilium_snat_v6_alloc_retries: unlike that of IPv4 it is not pinned, so that every object counts its own. lib/nat.h */
  readonly snat6AllocRetries: MapOf<'percpu_array'>
}

/** Codes of the hook: CTX_ACT_OK, CTX_ACT_DROP, CTX_ACT_REDIRECT, CTX_ACT_TX. */
export interface ContextActions {
  readonly OK: number
  readonly DROP: number
  readonly REDIRECT: number
  readonly TX: number
}

/** skb->pkt_type of what is for this host, for changeType(). */
export const PACKET_HOST = 0

/** Slots of skb->cb (or the XDP scratch area), with their aliases. lib/common.h CB_* */
export const cb = {
  SRC_LABEL: 0,
  PORT: 0,
  PROXY_MAGIC: 0,
  ENCRYPT_MAGIC: 0,
  DST_ENDPOINT_ID: 0,
  VERDICT: 0,
  DELIVERY_REDIRECT: 1,
  NAT_46X64: 1,
  ADDR_V4: 1,
  ADDR_V6_1: 1,
  IPCACHE_SRC_LABEL: 1,
  CLUSTER_ID_EGRESS: 1,
  TRACED: 1,
  ADDR_V6_2: 2,
  CLUSTER_ID_INGRESS: 2,
  NAT_FLAGS: 2,
  ADDR_V6_3: 3,
  FROM_HOST: 3,
  DSR_L3_OFF: 3,
  CT_STATE: 4,
  ADDR_V6_4: 4,
  ENCRYPT_IDENTITY: 4,
  FROM_TUNNEL: 4,
} as const

/** Bits of skb->tc_index. lib/common.h TC_INDEX_F_* */
export const tcIndexFlag = {
  FROM_INGRESS_PROXY: 1,
  FROM_EGRESS_PROXY: 2,
  SKIP_NODEPORT: 4,
  SKIP_HEALTH_CHECK: 8,
  SKIP_HOST_FIREWALL: 16,
} as const

/** The context of a run: `struct __ctx_buff` with everything a function may touch. */
export interface Ctx {
  readonly node: NodeConfig
  readonly object: ObjectConfig
  readonly maps: ObjectMaps
  readonly act: ContextActions
  readonly isXdp: boolean
  /** Direct packet access, offsets from the start of the frame. */
  readonly packet: Packet
  /** `ext_err` of the C code: what a function adds to its drop reason. */
  extErr: number

  /** Bytes of the packet (ctx_full_len). */
  readonly length: number
  /** Bytes on the wire (ctx_wire_len). */
  readonly wireLength: number
  /** Ethertype in host order (ctx_get_protocol). */
  readonly protocol: number
  readonly ifindex: number
  readonly ingressIfindex: number
  /** The VLAN id of a tag beside the packet; 0 without one. */
  readonly vlanId: number
  /** skb->hash; 0 in XDP. */
  readonly hash: number
  /** 0 in XDP. */
  mark: number
  tcIndex: number
  queueMapping: number
  priority: number
  /** Delivery time, nanoseconds. */
  tstamp: number

  /** ctx_load_meta(), ctx_store_meta(), ctx_load_and_clear_meta(), bpf_clear_meta(). */
  meta(slot: number): number
  setMeta(slot: number, value: number): void
  takeMeta(slot: number): number
  clearMeta(): void
  /** A word that XDP left for tc in front of the packet (ctx_get_xfer). */
  transfer(slot: number): number
  setTransfer(flags: number): void

  /** ctx_load_bytes(): undefined outside of the packet. */
  load(offset: number, size: number): Uint8Array | undefined
  /** ctx_store_bytes(): 0 or a negative errno. `flags` as for bpf_skb_store_bytes. */
  store(offset: number, bytes: Uint8Array, flags?: number): number
  /** Whether the first bytes can be read (ctx_pull_data). */
  pull(length: number): boolean
  /** bpf_l3_csum_replace, bpf_l4_csum_replace: numbers as a C program has them. */
  replaceL3Checksum(offset: number, from: number, to: number, flags: number): number
  replaceL4Checksum(offset: number, from: number, to: number, flags: number): number
  /** bpf_csum_diff: the one's-complement difference of two byte strings. */
  checksumDifference(from: Uint8Array, to: Uint8Array, seed: number): number
  changeType(type: number): number
  adjustRoom(difference: number, mode: number, flags: number): number
  changeTail(length: number): number
  changeHead(bytes: number): number
  changeProtocol(etherType: number): number

  setTunnelKey(key: Uint8Array, flags: number): number
  tunnelKey(to: Uint8Array, flags: number): number
  setTunnelOptions(options: Uint8Array): number
  tunnelOptions(to: Uint8Array): number

  redirect(ifindex: number, flags: number): number
  redirectPeer(ifindex: number): number
  /** `next` is a struct bpf_redir_neigh, or undefined for a route lookup. */
  redirectNeigh(ifindex: number, next: Uint8Array | undefined): number
  fibLookup(params: Uint8Array, flags: number): number

  /** bpf_map_lookup_elem: the live value. */
  lookup(map: AnyMap, key: Uint8Array): Uint8Array | undefined
  /** The same for a map of maps. */
  lookupInner(map: MapOf<'hash_of_maps'>, key: Uint8Array): AnyMap | undefined
  update(map: AnyMap, key: Uint8Array, value: Uint8Array, flags?: number): number
  remove(map: AnyMap, key: Uint8Array): number
  /** tail_call_internal(): does not come back on success; else sets extErr and returns DROP_MISSED_TAIL_CALL. */
  tailCall(slot: number): number
  /** A tail call into another map: comes back only when the slot is empty. */
  tailCallInto(map: AnyMap, index: number): void

  /** Sends a record with the first `captured` bytes of the packet to cilium_events. */
  emit(record: Uint8Array, captured: number): void
  /** Sends a record to cilium_signals. */
  signal(record: Uint8Array): void
  /** bpf_ktime_get_ns. */
  nowNs(): number
  /** bpf_jiffies64. */
  jiffies(): number
  random32(): number

  /** bpf_skc_lookup_tcp / bpf_sk_lookup_udp for a struct bpf_sock_tuple; then bpf_sk_assign and release. tc only. */
  lookupSocket(protocol: number, tuple: Uint8Array): SocketInfo | undefined
  /** 0 or a negative errno. */
  assignSocket(socket: SocketInfo): number
}

/** A socket found by a lookup; opaque besides its state. */
export interface SocketInfo {
  readonly state: number
}

/** IS_ERR(): a drop reason, or the code that drops. */
export function isError(ctx: Ctx, result: number): boolean {
  return result < 0 || result === ctx.act.DROP
}
