// struct sk_buff: a packet and what Linux keeps beside it. Bytes are the truth; every header is read from them.
import type { SkbView, TunnelKey } from '../bpf/contract.ts'
import { bytesAre } from '../net/bytes.ts'
import type { Snapshot } from '../trace/event.ts'
import type { PacketRecord, Recordable } from '../trace/recorder.ts'
import type { Connection } from './conntrack/connection.ts'
import { type BridgePassage, copyPassage } from './device/bridge-passage.ts'
import type { NetDevice } from './device/device.ts'
import { wireLength } from './gso.ts'
import type { IpOptions } from './ip/options.ts'
import type { Route } from './ip/route.ts'
import type { Namespace } from './namespace.ts'
import type { Socket } from './socket/socket.ts'
import type { SecurityPath } from './xfrm/tables.ts'

/** include/uapi/linux/if_packet.h PACKET_*. */
export const pktType = {
  host: 0,
  broadcast: 1,
  multicast: 2,
  otherHost: 3,
  outgoing: 4,
  loopback: 5,
} as const

/** Headroom of a new packet: room for every header that may be pushed (NET_SKB_PAD and tunnels). */
const headroomBytes = 128

/** The way of a packet and of all its copies together. */
export interface Journey {
  hops: number
  /** The limit was reached: the copies that are left end without a word. */
  over: boolean
}

/**
 * One packet. `bytes[data..tail)` is what the current layer sees, as in Linux: at L3 `data` stands at the IP header,
 * at tc and on devices at the MAC header (`pushMac`/`pullMac` move between the two).
 */
export class Skb implements SkbView, Recordable {
  bytes: Uint8Array
  data: number
  tail: number
  /** Offset of the MAC header, or -1 where there is none yet (locally built packets before the neighbour layer). */
  macHeader = -1
  /** Offset of the IP (or ARP) header; set by the receive path and by those who build packets. */
  networkHeader = -1
  dev: NetDevice
  /** skb->skb_iif: the ifindex of the device the packet arrived on, 0 for locally built ones. */
  ingressIfindex = 0
  protocol = 0
  pktType: number = pktType.host
  mark = 0
  priority = 0
  queueMapping = 0
  hash = 0
  /** skb->l4_hash: `hash` is of the ports too, or of a socket; such a one survives tunnels. */
  l4Hash = false
  tcIndex = 0
  tcClassid = 0
  readonly cb = new Uint32Array(5)
  /** skb->tstamp: when the packet may leave (nanoseconds), 0 for at once. */
  tstamp = 0
  /** skb->tstamp_type: `realtime` 0, `monotonic` 1, `tai` 2. Anything but 0 is a departure time that survives forwarding. */
  tstampType = 0
  vlanTci = -1
  vlanProtocol = 0
  metaBytes = 0
  /** skb_shinfo()->gso_segs and gso_size: how many segments a large packet holds, and how long their payloads are. */
  gsoSegs = 0
  gsoSize = 0
  /** Of a large packet: bytes from the IP header in front of TCP to the end, whatever was pushed before it. */
  gsoFromTail = 0
  /** An xdp_frame out of XDP_TX or a redirect: whoever takes it makes a new skb. */
  fromXdp = false
  /** Names of the segments, if the sender had any for them. */
  segmentNames: readonly string[] | undefined
  tunnelKey: TunnelKey | undefined
  /** The route of a packet that has been through routing (skb_dst). */
  route: Route | undefined
  /** skb->_nfct: the flow that conntrack found, or a template; undefined for none, untracked or invalid. */
  nfct: Connection | undefined
  /** enum ip_conntrack_info: what the packet is to its flow; `untracked` without one. */
  nfctInfo = 0
  /** skb->ipvs_property: IPVS has seen this packet and leaves it alone. */
  ipvs = false
  /** Bytes that it is charged to its socket's send buffer with while it waits in a queue. */
  sendCharge = 0
  /** The socket that owns the packet; survives a veth, orphaned by the IP receive function. */
  sk: Socket | undefined
  /** skb_sk_is_prefetched(): bpf_sk_assign chose `sk` for this packet, so the IP receive function leaves it there. */
  skAssigned = false
  /** The namespace whose kernel socket sent the packet (ICMP messages, resets): a socket without a file, so of no user. */
  kernelSocket: Namespace | undefined
  /** struct nf_bridge_info: bridge netfilter has seen this packet (`bridge-nf-call-iptables`). */
  bridged: BridgePassage | undefined
  /** IPCB(skb)->opt: where the options of its IPv4 header stand, once they were read. */
  options: IpOptions | undefined
  /** IPCB(skb)->frag_max_size: the largest fragment (bytes) this packet was put together from; 0 when it came whole. */
  fragmentMax = 0
  /** skb->ignore_df: conntrack put it together from pieces, and it may be cut again even where `fragmentMax` was forgotten. */
  ignoreDf = false
  /** skb_shinfo(skb)->frag_list: the payload bytes of each of those fragments, by which it may be cut again. */
  fragmentSizes: readonly number[] | undefined
  /** CHECKSUM_COMPLETE by conntrack (csum_complete_sw): the sum of the IP header as it was then (`headerSum`); -1 for none. */
  summedHeader = -1
  /** skb->redirected: a tc program sent it out of another device; generic XDP at the far end leaves it alone. */
  redirected = false
  /** The states by which it was decrypted (skb_sec_path). */
  securityPath: SecurityPath | undefined
  /** IPSKB_XFRM_TRANSFORMED, IP6SKB_XFRM_TRANSFORMED: this host has transformed it, and no policy is asked again. */
  transformed = false
  /**
   * CHECKSUM_PARTIAL: the transport checksum would be finished by a card; bytes from its field to the end of the packet, whatever is put
   * in front of it, and 0 when every sum is finished. The field holds the finished sum all the same: what Linux does
   * otherwise is leave, or spoil, the sums of headers outside (unfinished.ts).
   */
  unfinishedSum = 0
  /** How many devices this copy has been received on and sent to; `limits.hopsMax` of them end it as looped. */
  hops = 0
  /** What all copies of a packet share once there is more than one. */
  journey: Journey | undefined
  record: PacketRecord | undefined
  seen: Snapshot | undefined

  constructor(dev: NetDevice, bytes: Uint8Array, data: number, tail: number) {
    this.dev = dev
    this.bytes = bytes
    this.data = data
    this.tail = tail
  }

  /** The offset programs call `data`: the MAC header at tc. */
  get start(): number {
    return this.macHeader >= 0 ? this.macHeader : this.data
  }

  get end(): number {
    return this.tail
  }

  get ifindex(): number {
    return this.dev.ifindex
  }

  get wireLength(): number {
    return wireLength(this)
  }

  get socketCookie(): number {
    return this.sk?.cookie ?? 0
  }

  /** nf_bridge_get_physindev(): the bridge port a packet came in by, for the physdev match. */
  get physin(): NetDevice | undefined {
    return this.bridged?.physIn
  }

  /** nf_bridge_get_physoutdev(): the bridge port it leaves by. */
  get physout(): NetDevice | undefined {
    return this.bridged?.physOut
  }

  /** skb->len: bytes from `data` on. */
  get length(): number {
    return this.tail - this.data
  }

  /** Drops what stands before the network header: `data` moves there (the receive path's view above L2). */
  pullMac(): void {
    this.data = this.networkHeader
  }

  /** Moves `data` back to the MAC header (skb_push_rcsum(skb->mac_len)). */
  pushMac(): void {
    if (this.macHeader >= 0) this.data = this.macHeader
  }

  /** Makes at least `bytes` of room in front of `data`. */
  reserve(bytes: number): void {
    const first = this.macHeader >= 0 ? Math.min(this.macHeader, this.data) : this.data
    if (first >= bytes) return
    this.regrow(bytes + headroomBytes - first, 0)
  }

  /** Moves all offsets by `front` and adds `back` bytes behind. */
  private regrow(front: number, back: number): void {
    const grown = new Uint8Array(this.bytes.length + front + back)
    grown.set(this.bytes, front)
    this.bytes = grown
    this.data += front
    this.tail += front
    if (this.macHeader >= 0) this.macHeader += front
    if (this.networkHeader >= 0) this.networkHeader += front
  }

  resizeAt(offset: number, delta: number): void {
    if (delta > 0) this.reserve(delta + this.metaBytes)
    const from = this.start
    const moved = from - delta
    this.bytes.copyWithin(moved, from, from + offset)
    if (delta > 0) this.bytes.fill(0, moved + offset, from + offset)
    if (this.data === from) this.data = moved
    if (this.macHeader >= 0) this.macHeader = moved
    // bpf_skb_generic_push(): the network header moves with the front part, so it names the new outer header.
    if (this.networkHeader >= 0) this.networkHeader -= delta
  }

  pushHead(bytes: number): void {
    this.reserve(bytes + this.metaBytes)
    const from = this.start
    const moved = from - bytes
    this.bytes.fill(0, moved, from)
    if (this.data === from) this.data = moved
    this.macHeader = moved
  }

  isSumOutside(at: number): boolean {
    // a large packet has no sum that is finished, outside neither (udp_set_csum)
    return this.unfinishedSum > 0 && this.gsoSize === 0 && at !== this.tail - this.unfinishedSum
  }

  resizeTail(length: number): void {
    const wanted = this.start + length
    if (wanted > this.bytes.length) this.regrow(0, wanted - this.bytes.length + headroomBytes)
    const tail = this.start + length
    if (tail > this.tail) this.bytes.fill(0, this.tail, tail)
    if (this.unfinishedSum > 0) this.unfinishedSum = Math.max(0, this.unfinishedSum + tail - this.tail)
    this.tail = tail
  }

  snapshot(): Snapshot {
    // a packet without link-layer header (ipip) is shown from its IP header on, wherever `data` stands
    const first = this.macHeader >= 0 ? this.macHeader : this.networkHeader
    const start = first >= 0 ? Math.min(first, this.data) : this.data
    return {
      bytes: this.bytes.slice(start, this.tail),
      start: this.macHeader >= 0 ? 'ethernet' : 'ip',
      mark: this.mark,
      pktType: this.pktType,
      vlanTci: this.vlanTci,
      metaBytes: this.metaBytes,
      ...(this.tunnelKey === undefined || this.tunnelKey.received === true ? {} : { tunnel: this.tunnelKey }),
    }
  }

  shows(snapshot: Snapshot): boolean {
    const ethernet = this.macHeader >= 0
    return (
      snapshot.mark === this.mark &&
      snapshot.pktType === this.pktType &&
      snapshot.vlanTci === this.vlanTci &&
      snapshot.metaBytes === this.metaBytes &&
      snapshot.tunnel === (this.tunnelKey?.received === true ? undefined : this.tunnelKey) &&
      (snapshot.start === 'ethernet') === ethernet &&
      bytesAre(
        this.bytes,
        ethernet ? Math.min(this.macHeader, this.data) : this.data,
        this.tail,
        snapshot.bytes,
      )
    )
  }

  /** skb_clone + copy on write: an independent copy that writes into the same trace record. */
  clone(): Skb {
    const copy = new Skb(this.dev, this.bytes.slice(), this.data, this.tail)
    this.giveTo(copy, 0)
    this.journey ??= { hops: this.hops, over: false }
    copy.journey = this.journey
    copy.record = this.record
    copy.seen = this.seen
    return copy
  }

  /** A packet like this one with other bytes, the first of which is what stands at `from` here: a segment. */
  withBytes(bytes: Uint8Array, from: number): Skb {
    const copy = new Skb(this.dev, bytes, this.data - from, bytes.length)
    this.giveTo(copy, from)
    copy.journey = this.journey
    copy.record = this.record
    copy.seen = this.seen
    return copy
  }

  /** Everything that lies beside the bytes; `shift` is how far these have moved to the front. */
  private giveTo(copy: Skb, shift: number): void {
    copy.macHeader = this.macHeader < 0 ? -1 : this.macHeader - shift
    copy.networkHeader = this.networkHeader < 0 ? -1 : this.networkHeader - shift
    copy.ingressIfindex = this.ingressIfindex
    copy.protocol = this.protocol
    copy.pktType = this.pktType
    copy.mark = this.mark
    copy.priority = this.priority
    copy.queueMapping = this.queueMapping
    copy.hash = this.hash
    copy.l4Hash = this.l4Hash
    copy.tcIndex = this.tcIndex
    copy.tcClassid = this.tcClassid
    copy.cb.set(this.cb)
    copy.tstamp = this.tstamp
    copy.tstampType = this.tstampType
    copy.vlanTci = this.vlanTci
    copy.vlanProtocol = this.vlanProtocol
    copy.metaBytes = this.metaBytes
    copy.gsoSegs = this.gsoSegs
    copy.gsoSize = this.gsoSize
    copy.gsoFromTail = this.gsoFromTail
    copy.segmentNames = this.segmentNames
    copy.tunnelKey = this.tunnelKey
    copy.route = this.route
    copy.nfct = this.nfct
    copy.nfctInfo = this.nfctInfo
    copy.ipvs = this.ipvs
    copy.sk = this.sk
    copy.skAssigned = this.skAssigned
    copy.kernelSocket = this.kernelSocket
    copy.bridged = copyPassage(this.bridged)
    copy.options = this.options === undefined ? undefined : { ...this.options }
    copy.fragmentMax = this.fragmentMax
    copy.ignoreDf = this.ignoreDf
    copy.summedHeader = this.summedHeader
    copy.redirected = this.redirected
    copy.securityPath = this.securityPath === undefined ? undefined : { ...this.securityPath }
    copy.transformed = this.transformed
    copy.unfinishedSum = this.unfinishedSum
    copy.hops = this.hops
  }
}

/** A new packet whose bytes start at the MAC header (an injected or received frame). `bytes` are copied. */
export function skbFromFrame(dev: NetDevice, frame: Uint8Array): Skb {
  const bytes = new Uint8Array(headroomBytes + frame.length)
  bytes.set(frame, headroomBytes)
  const skb = new Skb(dev, bytes, headroomBytes, bytes.length)
  skb.macHeader = headroomBytes
  return skb
}

/** A new locally built packet whose bytes start at the IP header; there is no MAC header yet. `bytes` are copied. */
export function skbFromPacket(dev: NetDevice, packet: Uint8Array, protocol: number): Skb {
  const bytes = new Uint8Array(headroomBytes + packet.length)
  bytes.set(packet, headroomBytes)
  const skb = new Skb(dev, bytes, headroomBytes, bytes.length)
  skb.networkHeader = headroomBytes
  skb.protocol = protocol
  return skb
}
