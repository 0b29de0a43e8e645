// The context of XDP programs: no mark, no cb and no tunnel key; metadata lives in a per-CPU scratch area.
// include/bpf/ctx/xdp.h, lib/overloadable_xdp.h
import { xdpCode } from '../../bpf/codes.ts'
import { readLe16, writeLe16 } from '../../bpf/context/byte-order.ts'
import type { Packet } from '../../bpf/context/packet.ts'
import type { XdpContext } from '../../bpf/context/xdp.ts'
import { errno } from '../../bpf/errno.ts'
import type { HelpersOf } from '../../bpf/helpers/bind.ts'
import { replacedChecksum } from '../../bpf/helpers/checksum.ts'
import { currentCpu } from '../../bpf/helpers/records.ts'
import type { HelperName } from '../../bpf/helpers/table.ts'
import type { AnyMap } from '../../bpf/maps/create.ts'
import type { NodeConfig, ObjectConfig } from './config.ts'
import type { ContextActions, Ctx, ObjectMaps, SocketInfo } from './ctx.ts'
import { drop } from './drop-reason.ts'

/** Every helper that an XDP program of Cilium calls. */
export const xdpHelpers = [
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'tail_call',
  'ktime_get_ns',
  'get_prandom_u32',
  'csum_diff',
  'redirect',
  'fib_lookup',
  'perf_event_output',
  'xdp_adjust_head',
  'xdp_adjust_tail',
  'xdp_adjust_meta',
] as const satisfies readonly HelperName[]

type XdpHelpers = HelpersOf<(typeof xdpHelpers)[number]>

const actions: ContextActions = {
  OK: xdpCode.XDP_PASS,
  DROP: xdpCode.XDP_DROP,
  REDIRECT: xdpCode.XDP_REDIRECT,
  TX: xdpCode.XDP_TX,
}

/** Words of cilium_xdp_scratch; it outlives tail calls, and the entry program clears it. */
const scratchWords = 6
const scratch = new Uint32Array(scratchWords)

const transferBytes = 4
const sizeMask = 0xf

/** One run of an XDP program. */
export class XdpCtx implements Ctx {
  readonly node: NodeConfig
  readonly object: ObjectConfig
  readonly maps: ObjectMaps
  readonly act = actions
  readonly isXdp = true
  readonly packet: Packet
  readonly protocol = 0
  readonly hash = 0
  extErr = 0
  mark = 0
  tcIndex = 0
  queueMapping = 0
  tstamp = 0
  private readonly xdp: XdpContext
  private readonly helpers: XdpHelpers

  constructor(
    shared: { readonly node: NodeConfig; readonly object: ObjectConfig; readonly maps: ObjectMaps },
    xdp: XdpContext,
    helpers: XdpHelpers,
  ) {
    this.node = shared.node
    this.object = shared.object
    this.maps = shared.maps
    this.packet = xdp.packet
    this.xdp = xdp
    this.helpers = helpers
  }

  get length(): number {
    return this.packet.length
  }

  get ifindex(): number {
    return this.xdp.ingress_ifindex
  }

  get ingressIfindex(): number {
    return this.xdp.ingress_ifindex
  }

  meta(slot: number): number {
    return scratch[slot] as number
  }

  setMeta(slot: number, value: number): void {
    scratch[slot] = value
  }

  takeMeta(slot: number): number {
    const value = this.meta(slot)
    scratch[slot] = 0
    return value
  }

  clearMeta(): void {
    scratch.fill(0)
  }

  transfer(_slot: number): number {
    return 0
  }

  /** ctx_move_xfer(): leaves a word in front of the packet for tc, where the driver has room for it. */
  setTransfer(flags: number): void {
    if (flags === 0 || this.helpers.xdp_adjust_meta(-transferBytes) !== 0) return
    this.packet.setLe32(-transferBytes, flags)
  }

  load(offset: number, size: number): Uint8Array | undefined {
    return this.packet.has(offset, size) ? this.packet.copy(offset, size) : undefined
  }

  store(offset: number, bytes: Uint8Array): number {
    if (!this.packet.has(offset, bytes.length)) return -errno.EFAULT
    this.packet.setBytes(offset, bytes)
    return 0
  }

  pull(length: number): boolean {
    return this.packet.has(0, length)
  }

  replaceL3Checksum(offset: number, from: number, to: number, flags: number): number {
    return this.replaceChecksum(offset, from, to, flags)
  }

  replaceL4Checksum(offset: number, from: number, to: number, flags: number): number {
    return this.replaceChecksum(offset, from, to, flags)
  }

  private replaceChecksum(offset: number, from: number, to: number, flags: number): number {
    if (!this.packet.has(offset, 2)) return -errno.EFAULT
    const stored = this.packet.copy(offset, 2)
    writeLe16(stored, 0, replacedChecksum(readLe16(stored, 0), from, to, flags & sizeMask))
    this.packet.setBytes(offset, stored)
    return 0
  }

  checksumDifference(from: Uint8Array, to: Uint8Array, seed: number): number {
    return this.helpers.csum_diff(from, to, seed)
  }

  /** XDP has no packet type, no network header and no tunnel key: Cilium compiles these calls to an error. */
  changeType(): number {
    return -errno.ENOTSUPP
  }

  /** ctx_adjust_hroom(): moves the Ethernet header too, which is all that Cilium needs in XDP. */
  adjustRoom(difference: number): number {
    return this.helpers.xdp_adjust_head(-difference)
  }

  changeTail(length: number): number {
    return this.helpers.xdp_adjust_tail(length - this.length)
  }

  changeHead(bytes: number): number {
    return this.helpers.xdp_adjust_head(-bytes)
  }

  changeProtocol(): number {
    return -errno.ENOTSUPP
  }

  setTunnelKey(): number {
    return -errno.ENOTSUPP
  }

  tunnelKey(): number {
    return -errno.ENOTSUPP
  }

  setTunnelOptions(): number {
    return -errno.ENOTSUPP
  }

  tunnelOptions(): number {
    return -errno.ENOTSUPP
  }

  /** ctx_redirect(): back out of the device it came from is XDP_TX. */
  redirect(ifindex: number, flags: number): number {
    if (flags !== 0) return -errno.ENOTSUPP
    return ifindex === this.ifindex ? actions.TX : this.helpers.redirect(ifindex, flags)
  }

  redirectPeer(): number {
    return -errno.ENOTSUPP
  }

  redirectNeigh(): number {
    return -errno.ENOTSUPP
  }

  fibLookup(params: Uint8Array, flags: number): number {
    return this.helpers.fib_lookup(params, flags)
  }

  lookup(map: AnyMap, key: Uint8Array): Uint8Array | undefined {
    // maps of maps are not used here, so a value is always bytes
    return this.helpers.map_lookup_elem(map, key) as Uint8Array | undefined
  }

  update(map: AnyMap, key: Uint8Array, value: Uint8Array, flags = 0): number {
    return this.helpers.map_update_elem(map, key, value, flags)
  }

  remove(map: AnyMap, key: Uint8Array): number {
    return this.helpers.map_delete_elem(map, key)
  }

  tailCall(slot: number): number {
    this.helpers.tail_call(this.maps.calls, slot)
    this.extErr = slot
    return drop.MISSED_TAIL_CALL
  }

  tailCallInto(map: AnyMap, index: number): void {
    this.helpers.tail_call(map, index)
  }

  emit(record: Uint8Array, captured: number): void {
    this.helpers.perf_event_output(this.maps.cilium_events, captured * 0x1_0000_0000 + currentCpu, record)
  }

  nowNs(): number {
    return this.helpers.ktime_get_ns()
  }

  random32(): number {
    return this.helpers.get_prandom_u32()
  }

  lookupSocket(): SocketInfo | undefined {
    return undefined
  }

  assignSocket(): number {
    return -errno.ENOTSUPP
  }
}
