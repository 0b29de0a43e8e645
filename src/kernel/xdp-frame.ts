// struct xdp_buff around the bytes of a packet: what an XDP program works on, before and instead of an skb.
import type { XdpBuff } from '../bpf/contract.ts'
import { bytesAre } from '../net/bytes.ts'
import type { Snapshot } from '../trace/event.ts'
import type { PacketRecord, Recordable } from '../trace/recorder.ts'
import type { Skb } from './skb.ts'

/** XDP_PACKET_HEADROOM. */
const headroomBytes = 256
/** SKB_DATA_ALIGN(sizeof(struct skb_shared_info)): stands behind every frame. */
const sharedInfoBytes = 320
const cacheLineBytes = 64
const pageBytes = 4096
const kmallocMin = 1024

/**
 * Where the memory for packet bytes ends. A veth frame is copied into a buffer cut to its length (skb_pp_cow_data), a
 * card's frame lies in a page, and a generic one in a kmalloc bucket: so growing the tail by 100 works in generic mode
 * and on a card, but not on a veth (facts: linux 2.10).
 */
function frameSize(lengthBytes: number, place: 'veth' | 'page' | 'skb'): number {
  if (place === 'page') return Math.max(pageBytes - sharedInfoBytes, headroomBytes + lengthBytes)
  const aligned = headroomBytes + Math.ceil(lengthBytes / cacheLineBytes) * cacheLineBytes
  if (place === 'veth') return aligned
  let bucket = kmallocMin
  while (bucket < aligned + sharedInfoBytes) bucket *= 2
  return bucket - sharedInfoBytes
}

/** A frame under XDP. It writes into the trace record of the packet it came from. */
export class XdpFrame implements XdpBuff, Recordable {
  bytes: Uint8Array
  readonly hardStart = 0
  meta = headroomBytes
  data = headroomBytes
  dataEnd: number
  readonly frameEnd: number
  readonly ifindex: number
  readonly rxQueueIndex = 0
  readonly mode: 'native' | 'generic' | 'offload'
  record: PacketRecord | undefined
  seen: Snapshot | undefined
  private readonly skb: Skb

  constructor(
    skb: Skb,
    options: { readonly mode: 'native' | 'generic' | 'offload'; readonly place: 'veth' | 'page' | 'skb' },
  ) {
    const start = skb.start
    const length = skb.tail - start
    this.frameEnd = frameSize(length, options.place)
    this.bytes = new Uint8Array(this.frameEnd)
    this.bytes.set(skb.bytes.subarray(start, skb.tail), headroomBytes)
    this.dataEnd = headroomBytes + length
    this.ifindex = skb.dev.ifindex
    this.mode = options.mode
    this.skb = skb
    this.record = skb.record
    this.seen = skb.seen
  }

  /** Bytes as they are; what XDP cannot see (mark, pkt_type) as the packet carries it. */
  snapshot(): Snapshot {
    return {
      bytes: this.bytes.slice(this.data, this.dataEnd),
      start: 'ethernet',
      mark: this.skb.mark,
      pktType: this.skb.pktType,
      vlanTci: this.skb.vlanTci,
      metaBytes: this.data - this.meta,
    }
  }

  shows(snapshot: Snapshot): boolean {
    const { skb } = this
    return (
      snapshot.start === 'ethernet' &&
      snapshot.metaBytes === this.data - this.meta &&
      snapshot.mark === skb.mark &&
      snapshot.pktType === skb.pktType &&
      snapshot.vlanTci === skb.vlanTci &&
      bytesAre(this.bytes, this.data, this.dataEnd, snapshot.bytes)
    )
  }

  /** Puts the frame back into its packet: `data` stands at the MAC header, metadata in front of it. */
  intoSkb(): void {
    const { skb } = this
    skb.bytes = this.bytes
    skb.data = this.data
    skb.tail = this.dataEnd
    skb.macHeader = this.data
    skb.metaBytes = this.data - this.meta
    skb.seen = this.seen
  }
}
