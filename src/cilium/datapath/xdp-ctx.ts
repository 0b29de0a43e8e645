// The context of XDP programs: no mark, no cb and no tunnel key; metadata lives in a per-CPU scratch map.
// include/bpf/ctx/xdp.h, lib/overloadable_xdp.h
import { assert } from '../../base/assert.ts'
import { xdpCode } from '../../bpf/codes.ts'
import { readLe16, readLe32, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Packet } from '../../bpf/context/packet.ts'
import type { XdpContext } from '../../bpf/context/xdp.ts'
import { errno } from '../../bpf/errno.ts'
import type { HelpersOf } from '../../bpf/helpers/bind.ts'
import { checksumFlag, replacedChecksum } from '../../bpf/helpers/checksum.ts'
import type { HelperName } from '../../bpf/helpers/table.ts'
import { CommonCtx, commonHelpers, type Shared } from './common-ctx.ts'
import type { ContextActions, Ctx, SocketInfo } from './ctx.ts'

/** Every helper that an XDP program of Cilium calls. */
export const xdpHelpers = [
  ...commonHelpers,
  'redirect',
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

/** Slots of cilium_xdp_scratch behind those of skb->cb: RECIRC_MARKER, XFER_MARKER. */
export const scratchSlot = { RECIRC_MARKER: 5, XFER_MARKER: 6 } as const

const onlyKey = new Uint8Array(4)
const transferBytes = 4
const sizeMask = 0xf
/** __CTX_OFF_MAX: bounds that the verifier sees. What lies further back is looked for near the beginning. */
const offsetMask = 0xff
const ethernetBytes = 14

/** ctx_adjust_hroom(): how many bytes of headers stay in front of new room of this many bytes. */
const headersKept: Readonly<Record<number, number>> = {
  8: ethernetBytes + 20, // IPv4 option of DSR
  12: ethernetBytes + 20 + 8 + 8, // Geneve option of DSR
  20: ethernetBytes + 20, // IPv4 header
  24: ethernetBytes + 40, // IPv6 extension header of DSR
  40: ethernetBytes + 40, // IPv6 header
}

/** One run of an XDP program. */
export class XdpCtx extends CommonCtx<XdpHelpers> implements Ctx {
  readonly act = actions
  readonly isXdp = true
  readonly packet: Packet
  readonly hash = 0
  readonly vlanId = 0
  mark = 0
  tcIndex = 0
  queueMapping = 0
  priority = 0
  tstamp = 0
  private readonly xdp: XdpContext

  constructor(shared: Shared, xdp: XdpContext, helpers: XdpHelpers) {
    super(shared, helpers)
    this.packet = xdp.packet
    this.xdp = xdp
  }

  get length(): number {
    return this.packet.length
  }

  get wireLength(): number {
    return this.packet.length
  }

  get protocol(): number {
    return this.packet.has(0, ethernetBytes) ? this.packet.u16(ethernetBytes - 2) : 0
  }

  get ifindex(): number {
    return this.xdp.ingress_ifindex
  }

  get ingressIfindex(): number {
    return this.xdp.ingress_ifindex
  }

  /** ctx_load_meta(): a word of cilium_xdp_scratch, which outlives tail calls and runs. */
  meta(slot: number): number {
    return readLe32(this.scratch(), slot * 4)
  }

  setMeta(slot: number, value: number): void {
    writeLe32(this.scratch(), slot * 4, value)
  }

  takeMeta(slot: number): number {
    const value = this.meta(slot)
    this.setMeta(slot, 0)
    return value
  }

  /** bpf_clear_meta(): does nothing in XDP. */
  clearMeta(): void {}

  private scratch(): Uint8Array {
    const words = this.helpers.map_lookup_elem(this.maps.xdpScratch, onlyKey)
    assert(words instanceof Uint8Array, 'cilium_xdp_scratch has one element')
    return words
  }

  transfer(_slot: number): number {
    return 0
  }

  /** ctx_move_xfer(): leaves a word in front of the packet for tc, where the driver has room for it. */
  setTransfer(flags: number): void {
    if (flags === 0 || this.helpers.xdp_adjust_meta(-transferBytes) !== 0) return
    this.packet.setLe32(-transferBytes, flags)
  }

  /** xdp_load_bytes() */
  load(offset: number, size: number): Uint8Array | undefined {
    const at = offset & offsetMask
    return this.packet.has(at, size) ? this.packet.copy(at, size) : undefined
  }

  /** xdp_store_bytes() */
  store(offset: number, bytes: Uint8Array): number {
    const at = offset & offsetMask
    if (!this.packet.has(at, bytes.length)) return -errno.EINVAL
    this.packet.setBytes(at, bytes)
    return 0
  }

  pull(length: number): boolean {
    return this.packet.has(0, length)
  }

  replaceL3Checksum(offset: number, from: number, to: number, flags: number): number {
    return this.replaceChecksum(offset, from, to, flags)
  }

  /** A UDP checksum of 0 stays as it is and never comes out (BPF_F_MARK_MANGLED_0). */
  replaceL4Checksum(offset: number, from: number, to: number, flags: number): number {
    return this.replaceChecksum(offset, from, to, flags)
  }

  private replaceChecksum(offset: number, from: number, to: number, flags: number): number {
    const at = offset & offsetMask
    if (!this.packet.has(at, 2)) return -errno.EINVAL
    const stored = this.packet.copy(at, 2)
    const before = readLe16(stored, 0)
    const mangledZero = (flags & checksumFlag.BPF_F_MARK_MANGLED_0) !== 0
    if (mangledZero && before === 0) return 0
    const after = replacedChecksum(before, from, to, flags & sizeMask)
    writeLe16(stored, 0, mangledZero && after === 0 ? 0xffff : after)
    this.packet.setBytes(at, stored)
    return 0
  }

  /** XDP has no packet type, no network header and no tunnel key: Cilium compiles these calls to an error. */
  changeType(): number {
    return -errno.ENOTSUPP
  }

  /** ctx_adjust_hroom(): room in front of the packet, or behind the headers that its size tells. */
  adjustRoom(difference: number): number {
    const result = this.helpers.xdp_adjust_head(-difference)
    const kept = headersKept[difference]
    if (result !== 0 || kept === undefined) return result
    if (!this.packet.has(difference, kept)) return -errno.EFAULT
    this.packet.setBytes(0, this.packet.copy(difference, kept))
    return 0
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

  lookupSocket(): SocketInfo | undefined {
    return undefined
  }

  assignSocket(): number {
    return -errno.ENOTSUPP
  }
}
