// The context of tc programs. include/bpf/ctx/skb.h, lib/overloadable_skb.h

import { tcCode } from '../../bpf/codes.ts'
import type { Packet } from '../../bpf/context/packet.ts'
import type { SkbContext } from '../../bpf/context/skb.ts'
import type { SocketHandle } from '../../bpf/contract.ts'
import type { HelpersOf } from '../../bpf/helpers/bind.ts'
import type { HelperName } from '../../bpf/helpers/table.ts'
import { CommonCtx, commonHelpers, type Shared } from './common-ctx.ts'
import type { ContextActions, Ctx } from './ctx.ts'
import { protocolNumber } from './family.ts'

/** Every helper that a tc program of Cilium calls. */
export const skbHelpers = [
  ...commonHelpers,
  'skb_load_bytes',
  'skb_store_bytes',
  'skb_pull_data',
  'l3_csum_replace',
  'l4_csum_replace',
  'skb_change_type',
  'skb_change_tail',
  'skb_change_head',
  'skb_change_proto',
  'skb_adjust_room',
  'skb_set_tunnel_key',
  'skb_get_tunnel_key',
  'skb_set_tunnel_opt',
  'skb_get_tunnel_opt',
  'redirect',
  'redirect_peer',
  'redirect_neigh',
  'skc_lookup_tcp',
  'sk_lookup_udp',
  'sk_release',
  'sk_assign',
] as const satisfies readonly HelperName[]

type SkbHelpers = HelpersOf<(typeof skbHelpers)[number]>

const actions: ContextActions = {
  OK: tcCode.TC_ACT_OK,
  DROP: tcCode.TC_ACT_SHOT,
  REDIRECT: tcCode.TC_ACT_REDIRECT,
  TX: tcCode.TC_ACT_REDIRECT,
}

const metaSlots = 5
const vlanIdMask = 0xfff

/** One run of a tc program. */
export class SkbCtx extends CommonCtx<SkbHelpers> implements Ctx {
  readonly act = actions
  readonly isXdp = false
  readonly packet: Packet
  private readonly skb: SkbContext

  constructor(shared: Shared, skb: SkbContext, helpers: SkbHelpers) {
    super(shared, helpers)
    this.packet = skb.packet
    this.skb = skb
  }

  get length(): number {
    return this.skb.len
  }

  get wireLength(): number {
    return this.skb.wire_len
  }

  get protocol(): number {
    const swapped = this.skb.protocol
    return ((swapped & 0xff) << 8) | (swapped >>> 8)
  }

  get ifindex(): number {
    return this.skb.ifindex
  }

  get ingressIfindex(): number {
    return this.skb.ingress_ifindex
  }

  get hash(): number {
    return this.skb.hash
  }

  get vlanId(): number {
    return this.skb.vlan_present === 0 ? 0 : this.skb.vlan_tci & vlanIdMask
  }

  get mark(): number {
    return this.skb.mark
  }

  set mark(value: number) {
    this.skb.mark = value
  }

  get tcIndex(): number {
    return this.skb.tc_index
  }

  set tcIndex(value: number) {
    this.skb.tc_index = value
  }

  get queueMapping(): number {
    return this.skb.queue_mapping
  }

  set queueMapping(value: number) {
    this.skb.queue_mapping = value
  }

  get priority(): number {
    return this.skb.priority
  }

  set priority(value: number) {
    this.skb.priority = value
  }

  get tstamp(): number {
    return this.skb.tstamp
  }

  set tstamp(value: number) {
    this.skb.tstamp = value
  }

  meta(slot: number): number {
    return this.skb.cb(slot)
  }

  setMeta(slot: number, value: number): void {
    this.skb.setCb(slot, value >>> 0)
  }

  takeMeta(slot: number): number {
    const value = this.skb.cb(slot)
    this.skb.setCb(slot, 0)
    return value
  }

  clearMeta(): void {
    for (let slot = 0; slot < metaSlots; slot += 1) this.skb.setCb(slot, 0)
    this.skb.tc_classid = 0
  }

  transfer(slot: number): number {
    const { metaLength } = this.packet
    return metaLength < (slot + 1) * 4 ? 0 : this.packet.le32(slot * 4 - metaLength)
  }

  /** Only XDP can leave something for tc. */
  setTransfer(_flags: number): void {}

  load(offset: number, size: number): Uint8Array | undefined {
    const bytes = new Uint8Array(size)
    return this.helpers.skb_load_bytes(offset, bytes) < 0 ? undefined : bytes
  }

  store(offset: number, bytes: Uint8Array, flags = 0): number {
    return this.helpers.skb_store_bytes(offset, bytes, flags)
  }

  pull(length: number): boolean {
    return this.helpers.skb_pull_data(length) === 0
  }

  replaceL3Checksum(offset: number, from: number, to: number, flags: number): number {
    return this.helpers.l3_csum_replace(offset, from, to, flags)
  }

  replaceL4Checksum(offset: number, from: number, to: number, flags: number): number {
    return this.helpers.l4_csum_replace(offset, from, to, flags)
  }

  changeType(type: number): number {
    return this.helpers.skb_change_type(type)
  }

  adjustRoom(difference: number, mode: number, flags: number): number {
    return this.helpers.skb_adjust_room(difference, mode, flags)
  }

  changeTail(length: number): number {
    return this.helpers.skb_change_tail(length)
  }

  changeHead(bytes: number): number {
    return this.helpers.skb_change_head(bytes)
  }

  changeProtocol(etherType: number): number {
    return this.helpers.skb_change_proto(((etherType & 0xff) << 8) | (etherType >>> 8))
  }

  setTunnelKey(key: Uint8Array, flags: number): number {
    return this.helpers.skb_set_tunnel_key(key, flags)
  }

  tunnelKey(to: Uint8Array, flags: number): number {
    return this.helpers.skb_get_tunnel_key(to, flags)
  }

  setTunnelOptions(options: Uint8Array): number {
    return this.helpers.skb_set_tunnel_opt(options)
  }

  tunnelOptions(to: Uint8Array): number {
    return this.helpers.skb_get_tunnel_opt(to)
  }

  redirect(ifindex: number, flags: number): number {
    return this.helpers.redirect(ifindex, flags)
  }

  redirectPeer(ifindex: number): number {
    return this.helpers.redirect_peer(ifindex)
  }

  redirectNeigh(ifindex: number, next: Uint8Array | undefined): number {
    return this.helpers.redirect_neigh(ifindex, next)
  }

  lookupSocket(protocol: number, tuple: Uint8Array): SocketHandle | undefined {
    return protocol === protocolNumber.TCP
      ? this.helpers.skc_lookup_tcp(tuple, -1)
      : this.helpers.sk_lookup_udp(tuple, -1)
  }

  assignSocket(socket: SocketHandle): number {
    const result = this.helpers.sk_assign(socket)
    this.helpers.sk_release(socket)
    return result
  }
}
