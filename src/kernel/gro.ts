// Generic receive offload (net/core/gro.c dev_gro_receive(), net/ipv4/tcp_offload.c tcp_gro_receive(), af_inet.c
// inet_gro_receive()): segments of one TCP flow that arrive in one poll become one packet before anybody sees them. UDP is
// merged only for those who ask, which nobody here does; what a tunnel carries is merged behind the tunnel device.
import { bytesAre, readU8, readU16, readU32, writeU8, writeU16 } from '../net/bytes.ts'
import { segmentChecksumIsRight, writeSegmentChecksum } from '../net/checksum.ts'
import { ipv4At, ipv4Flag, ipv4HeaderLength, writeIpv4Checksum } from '../net/ipv4.ts'
import { ipv6At } from '../net/ipv6.ts'
import { etherType, ipProtocol } from '../net/protocol.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../net/tcp.ts'
import type { NetDevice } from './device/device.ts'
import { endPacket } from './drop.ts'
import { markLarge } from './gso.ts'
import type { Skb } from './skb.ts'

/** gro_max_size of an IPv4 packet (bytes, from its IP header on). */
const largest = 65_536
/** MAX_GRO_SKBS: flows of one bucket that may be held; all flows share one bucket here. */
const heldMax = 8
/** gro_normal_batch */
const batch = 8

/** The headers of a TCP segment that may be merged; offsets into its bytes. */
interface Headers {
  readonly l3: number
  readonly l4: number
  readonly payload: number
  readonly flags: number
}

interface Held {
  readonly skb: Skb
  readonly headers: Headers
  /** Payloads of what was merged, in order, the first packet's own among them. */
  readonly payloads: Uint8Array[]
  /** Length of the first payload: that of all but the last. */
  readonly size: number
  bytes: number
  flags: number
  /** Whether all have the identification of the first (a sender that sets DF may count or not). */
  fixed: boolean | undefined
}

/** The headers of a whole TCP segment without IP options; undefined for what GRO leaves alone. */
function headersOf(skb: Skb): Headers | undefined {
  const { bytes, networkHeader: l3, tail } = skb
  const four = skb.protocol === etherType.ipv4
  if ((!four && skb.protocol !== etherType.ipv6) || skb.gsoSize > 0 || tail - l3 < 40) return undefined
  const fixed = four ? 20 : ipv6At.payload
  if (four) {
    if (ipv4HeaderLength(bytes, l3) !== fixed || readU16(bytes, l3 + ipv4At.totalLength) !== tail - l3)
      return undefined
    const cut = ipv4Flag.moreFragments | ipv4Flag.offsetMask
    if ((readU16(bytes, l3 + ipv4At.flagsAndOffset) & cut) !== 0) return undefined
  } else if (readU16(bytes, l3 + ipv6At.payloadLength) !== tail - l3 - fixed) return undefined
  const protocol = readU8(bytes, l3 + (four ? ipv4At.protocol : ipv6At.nextHeader))
  const l4 = l3 + fixed
  if (protocol !== ipProtocol.tcp || tail - l4 < tcpAt.options) return undefined
  const payload = l4 + tcpHeaderLength(bytes, l4)
  if (payload < l4 + tcpAt.options || payload > tail) return undefined
  if (!segmentChecksumIsRight(bytes, { l3, l4, end: tail, protocol })) return undefined
  return { l3, l4, payload, flags: readU8(bytes, l4 + tcpAt.flags) }
}

/** Where the link-layer header begins; the IP header where there is none. */
function frontOf(skb: Skb): number {
  return skb.macHeader < 0 ? skb.networkHeader : skb.macHeader
}

/** Same frame header, addresses and ports, and the same tag beside the packet. */
function isSameFlow(held: Held, skb: Skb, headers: Headers): boolean {
  const { skb: first } = held
  const { l3, l4 } = held.headers
  if (first.protocol !== skb.protocol || first.vlanTci !== skb.vlanTci || first.metaBytes !== skb.metaBytes)
    return false
  if (!bytesAre(first.bytes, frontOf(first), l3, skb.bytes.subarray(frontOf(skb), headers.l3))) return false
  const [from, to] = skb.protocol === etherType.ipv4 ? [ipv4At.source, 20] : [ipv6At.source, ipv6At.payload]
  if (!bytesAre(first.bytes, l3 + from, l3 + to, skb.bytes.subarray(headers.l3 + from, headers.l3 + to)))
    return false
  return readU32(first.bytes, l4) === readU32(skb.bytes, headers.l4)
}

/** inet_gro_flush(): TTL, TOS and DF are those of the first, the identification counts up, or is fixed under DF. */
function ipFollows(held: Held, skb: Skb, { l3 }: Headers): boolean {
  const { bytes } = held.skb
  const first = held.headers.l3
  if (skb.protocol === etherType.ipv6)
    return readU32(bytes, first) === readU32(skb.bytes, l3) && bytes[first + 7] === skb.bytes[l3 + 7]
  if (readU8(bytes, first + ipv4At.tos) !== readU8(skb.bytes, l3 + ipv4At.tos)) return false
  if (readU8(bytes, first + ipv4At.ttl) !== readU8(skb.bytes, l3 + ipv4At.ttl)) return false
  const fragment = readU16(bytes, first + ipv4At.flagsAndOffset)
  if (fragment !== readU16(skb.bytes, l3 + ipv4At.flagsAndOffset)) return false
  const start = readU16(bytes, first + ipv4At.identification)
  const own = readU16(skb.bytes, l3 + ipv4At.identification)
  const expected = (start + held.payloads.length) & 0xffff
  const counts = own === expected
  const same = own === start && (fragment & ipv4Flag.dontFragment) !== 0
  if (held.fixed !== undefined) return held.fixed ? same : counts
  if (!counts && !same) return false
  held.fixed = !counts
  return true
}

const mayDiffer = tcpFlag.cwr | tcpFlag.fin | tcpFlag.psh

/** Whether a segment of the same flow continues what is held. */
function follows(held: Held, skb: Skb, headers: Headers): boolean {
  const { bytes } = held.skb
  const { l4, payload } = held.headers
  const length = skb.tail - headers.payload
  if ((headers.flags & tcpFlag.cwr) !== 0 || ((headers.flags ^ held.headers.flags) & ~mayDiffer) !== 0)
    return false
  if (payload - l4 !== headers.payload - headers.l4) return false
  const ack = tcpAt.acknowledgement
  if (readU32(bytes, l4 + ack) !== readU32(skb.bytes, headers.l4 + ack)) return false
  const options = skb.bytes.subarray(headers.l4 + tcpAt.options, headers.payload)
  if (!bytesAre(bytes, l4 + tcpAt.options, payload, options)) return false
  if (length === 0 || length > held.size) return false
  if (held.skb.hash !== skb.hash) return false // gro_list_prepare()
  const next = (readU32(bytes, l4 + tcpAt.sequence) + held.bytes) >>> 0
  if (readU32(skb.bytes, headers.l4 + tcpAt.sequence) !== next) return false
  const network = held.headers.payload - held.headers.l3
  return network + held.bytes + length < largest && ipFollows(held, skb, headers)
}

/** Flags behind which nothing is merged any more. */
const ending = tcpFlag.urg | tcpFlag.psh | tcpFlag.rst | tcpFlag.syn | tcpFlag.fin

/** The GRO of one poll of a device (struct gro_node); `deliver` is netif_receive_skb(). */
export class Gro {
  private readonly dev: NetDevice
  private readonly deliver: (skbs: readonly Skb[]) => void
  private readonly held: Held[] = []
  private readonly ready: Skb[] = []

  private readonly merges: boolean

  /** Without `merges` packets are only handed up in batches. */
  constructor(dev: NetDevice, deliver: (skbs: readonly Skb[]) => void, merges = true) {
    this.dev = dev
    this.merges = merges
    this.deliver = deliver
  }

  /** napi_gro_receive(): the packet is held, merged into one that is, or passed on. `skb.data` stands at its MAC header. */
  receive(skb: Skb): void {
    const headers = this.merges ? headersOf(skb) : undefined
    if (headers === undefined) return this.pass(skb)
    const held = this.held.find((each) => isSameFlow(each, skb, headers))
    const length = skb.tail - headers.payload
    const ends = (headers.flags & ending) !== 0
    if (held !== undefined && follows(held, skb, headers)) {
      this.merge(held, skb, headers)
      if (ends || length < held.size) this.complete(held)
      return
    }
    if (held !== undefined) this.complete(held)
    if (ends || length === 0) return this.pass(skb)
    if (this.held.length >= heldMax) this.complete(this.held[0] as Held)
    const payload = skb.bytes.subarray(headers.payload, skb.tail)
    this.held.push({
      skb,
      headers,
      payloads: [payload],
      size: length,
      bytes: length,
      flags: headers.flags,
      fixed: undefined,
    })
  }

  /** The end of the poll: what is held goes up, then everything that waits. */
  finish(): void {
    for (const held of [...this.held]) this.complete(held)
    this.flush()
  }

  private merge(held: Held, skb: Skb, headers: Headers): void {
    const payload = skb.bytes.subarray(headers.payload, skb.tail)
    held.payloads.push(payload)
    held.bytes += payload.length
    held.flags |= headers.flags & (tcpFlag.fin | tcpFlag.psh)
    const site = { node: this.dev.ns.name, device: this.dev.name, stage: 'gro' } as const
    const target = held.skb.record?.name ?? ''
    this.dev.ns.machine.trace?.note(skb, site, { actor: 'kernel', decision: { code: 'MERGE', target } })
    endPacket(skb, { ...site, kind: 'consumed' })
  }

  /** napi_gro_complete(): lengths and checksums of what was merged (tcp_gro_complete(), inet_gro_complete()). */
  private complete(held: Held): void {
    this.held.splice(this.held.indexOf(held), 1)
    const { skb, headers, payloads, size } = held
    if (payloads.length === 1) return this.pass(skb)
    const bytes = new Uint8Array(headers.payload + held.bytes)
    bytes.set(skb.bytes.subarray(0, headers.payload))
    let at = headers.payload
    for (const payload of payloads) {
      bytes.set(payload, at)
      at += payload.length
    }
    skb.bytes = bytes
    skb.tail = bytes.length
    const { l3, l4 } = headers
    if (skb.protocol === etherType.ipv4) {
      writeU16(bytes, l3 + ipv4At.totalLength, at - l3)
      writeIpv4Checksum(bytes, l3)
    } else writeU16(bytes, l3 + ipv6At.payloadLength, at - l3 - ipv6At.payload)
    writeU8(bytes, l4 + tcpAt.flags, held.flags)
    writeSegmentChecksum(bytes, { l3, l4, end: at, protocol: ipProtocol.tcp })
    markLarge(skb, size, payloads.length)
    const site = { node: this.dev.ns.name, device: this.dev.name, stage: 'gro' } as const
    const decision = { code: 'MERGED', target: `${payloads.length} x ${size}` }
    this.dev.ns.machine.trace?.note(skb, site, { actor: 'kernel', decision })
    this.pass(skb)
  }

  /** gro_normal_one() */
  private pass(skb: Skb): void {
    this.ready.push(skb)
    if (this.ready.length >= batch) this.flush()
  }

  private flush(): void {
    if (this.ready.length > 0) this.deliver(this.ready.splice(0))
  }
}
