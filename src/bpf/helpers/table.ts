// Which helpers exist, their numbers, and which type of program may call which. Numbers: include/uapi/linux/bpf.h
// (___BPF_FUNC_MAPPER); types: the *_func_proto() functions in net/core/filter.c and kernel/bpf/{helpers,cgroup}.c.
import type { ProgramType } from '../contract.ts'
import { skbAdjustRoom } from './adjust-room.ts'
import { csumDiff, csumLevelOf, csumUpdate, l3CsumReplace, l4CsumReplace } from './checksum.ts'
import * as general from './general.ts'
import * as ask from './lookup.ts'
import * as maps from './map.ts'
import * as records from './records.ts'
import * as go from './redirect.ts'
import * as bytes from './skb-bytes.ts'
import * as shape from './skb-shape.ts'
import * as tunnel from './tunnel.ts'
import * as vlan from './vlan.ts'
import * as xdp from './xdp.ts'

/** A helper's number, who may call it, and what it does. The first argument of `call` is the run. */
export interface Helper<Call> {
  readonly id: number
  readonly types: 'all' | readonly ProgramType[]
  readonly call: Call
}

type Types = 'all' | readonly ProgramType[]

function helper<Call>(id: number, types: Types, call: Call): Helper<Call> {
  return { id, types, call }
}

const tc: Types = ['sched_cls']
const xdpOnly: Types = ['xdp']
const tcAndXdp: Types = ['sched_cls', 'xdp']
const skbs: Types = ['sched_cls', 'cgroup_skb', 'socket_filter']
const cgroupSockets: Types = ['cgroup_sock', 'cgroup_sock_addr']
const socketLookups: Types = ['sched_cls', 'xdp', 'cgroup_skb', 'cgroup_sock_addr']
const perf: Types = [
  'sched_cls',
  'xdp',
  'cgroup_skb',
  'socket_filter',
  'cgroup_sock',
  'cgroup_sock_addr',
  'sock_ops',
]

/** Every helper there is, under its kernel name without `bpf_`. `tail_call` is bound by the kind of program. */
export const helperTable = {
  map_lookup_elem: helper(1, 'all', maps.lookupElem),
  map_update_elem: helper(2, 'all', maps.updateElem),
  map_delete_elem: helper(3, 'all', maps.deleteElem),
  ktime_get_ns: helper(5, 'all', general.ktimeGetNs),
  trace_printk: helper(6, 'all', general.tracePrintk),
  get_prandom_u32: helper(7, 'all', general.prandomU32),
  get_smp_processor_id: helper(8, 'all', general.smpProcessorId),
  skb_store_bytes: helper(9, tc, bytes.skbStoreBytes),
  l3_csum_replace: helper(10, tc, l3CsumReplace),
  l4_csum_replace: helper(11, tc, l4CsumReplace),
  tail_call: helper(12, 'all', maps.resolveTailCall),
  clone_redirect: helper(13, tc, go.cloneRedirect),
  skb_vlan_push: helper(18, tc, vlan.skbVlanPush),
  skb_vlan_pop: helper(19, tc, vlan.skbVlanPop),
  skb_get_tunnel_key: helper(20, tc, tunnel.skbGetTunnelKey),
  skb_set_tunnel_key: helper(21, tc, tunnel.skbSetTunnelKey),
  redirect: helper(23, tcAndXdp, go.redirect),
  perf_event_output: helper(25, perf, records.perfEventOutput),
  skb_load_bytes: helper(26, skbs, bytes.skbLoadBytes),
  csum_diff: helper(28, tcAndXdp, csumDiff),
  skb_get_tunnel_opt: helper(29, tc, tunnel.skbGetTunnelOpt),
  skb_set_tunnel_opt: helper(30, tc, tunnel.skbSetTunnelOpt),
  skb_change_proto: helper(31, tc, shape.skbChangeProto),
  skb_change_type: helper(32, tc, shape.skbChangeType),
  get_hash_recalc: helper(34, tc, ask.getHashRecalc),
  skb_change_tail: helper(38, tc, shape.skbChangeTail),
  skb_pull_data: helper(39, tc, bytes.skbPullData),
  csum_update: helper(40, tc, csumUpdate),
  set_hash_invalid: helper(41, tc, ask.setHashInvalid),
  get_numa_node_id: helper(42, 'all', general.numaNodeId),
  skb_change_head: helper(43, tc, shape.skbChangeHead),
  xdp_adjust_head: helper(44, xdpOnly, xdp.xdpAdjustHead),
  get_socket_cookie: helper(46, skbs, ask.getSocketCookie),
  set_hash: helper(48, tc, ask.setHash),
  skb_adjust_room: helper(50, tc, skbAdjustRoom),
  redirect_map: helper(51, xdpOnly, go.redirectMap),
  xdp_adjust_meta: helper(54, xdpOnly, xdp.xdpAdjustMeta),
  xdp_adjust_tail: helper(65, xdpOnly, xdp.xdpAdjustTail),
  skb_load_bytes_relative: helper(68, skbs, bytes.skbLoadBytesRelative),
  fib_lookup: helper(69, tcAndXdp, ask.fibLookup),
  sk_lookup_tcp: helper(84, socketLookups, ask.skLookupTcp),
  sk_lookup_udp: helper(85, socketLookups, ask.skLookupUdp),
  sk_release: helper(86, [...socketLookups, 'sk_lookup'], ask.skRelease),
  skc_lookup_tcp: helper(99, socketLookups, ask.skcLookupTcp),
  jiffies64: helper(118, 'all', general.jiffies64),
  get_netns_cookie: helper(122, ['sched_cls', 'cgroup_skb', ...cgroupSockets], ask.getNetnsCookie),
  sk_assign: helper(124, ['sched_cls', 'sk_lookup'], ask.skAssign),
  ringbuf_output: helper(130, 'all', records.ringbufOutput),
  ringbuf_reserve: helper(131, 'all', records.ringbufReserve),
  ringbuf_submit: helper(132, 'all', records.ringbufSubmit),
  ringbuf_discard: helper(133, 'all', records.ringbufDiscard),
  csum_level: helper(135, tc, csumLevelOf),
  redirect_neigh: helper(152, tc, go.redirectNeigh),
  redirect_peer: helper(155, tc, go.redirectPeer),
  check_mtu: helper(163, tcAndXdp, ask.checkMtu),
  for_each_map_elem: helper(164, 'all', maps.forEachElem),
  loop: helper(181, 'all', general.loop),
  get_retval: helper(186, cgroupSockets, ask.getRetval),
  set_retval: helper(187, cgroupSockets, ask.setRetval),
  xdp_get_buff_len: helper(188, xdpOnly, xdp.xdpGetBuffLen),
  xdp_load_bytes: helper(189, xdpOnly, xdp.xdpLoadBytes),
  xdp_store_bytes: helper(190, xdpOnly, xdp.xdpStoreBytes),
  skb_set_tstamp: helper(192, tc, shape.skbSetTstamp),
  map_lookup_percpu_elem: helper(195, 'all', maps.lookupPerCpu),
} as const

export type HelperName = keyof typeof helperTable

/** All names, in the order of their numbers. */
export const helperNames = Object.keys(helperTable) as readonly HelperName[]

/** Whether a program of this type may call a helper. */
export function mayCall(type: ProgramType, name: HelperName): boolean {
  const { types } = helperTable[name]
  return types === 'all' || types.includes(type)
}

/** The verifier's words: `program of this type cannot use helper bpf_redirect_map#51`, with the type's name. */
export function refusalText(type: ProgramType, name: HelperName): string {
  return `program of type ${type} cannot use helper bpf_${name}#${helperTable[name].id}`
}
