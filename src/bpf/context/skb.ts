// struct __sk_buff as a program sees it: loads and stores at the UAPI's offsets, bound to the real packet, so that a
// store takes effect at once. TypeScript programs use SkbContext; a virtual machine uses `loadSkb` and `storeSkb`.
import type { RunContext, SkbView } from '../contract.ts'
import { fault } from '../fault.ts'
import { swap16 } from './byte-order.ts'
import { Packet } from './packet.ts'
import { mayRead, mayWrite, skbAccess, skbAt, skbFieldAt, skbFieldSize } from './skb-fields.ts'

const noQueueMapping = 0xffff

function skbOf(context: RunContext): SkbView {
  return context.skb ?? fault(`a program of type ${context.type} has no __sk_buff here`)
}

function refuse(verb: 'read' | 'write', offset: number, size: number): never {
  const field = skbFieldAt(offset)
  const where = field === undefined ? '' : ` (__sk_buff.${field})`
  return fault(`invalid bpf_context access off=${offset} size=${size}${where}: no ${verb} for this type`)
}

/** One whole field. Pointers are offsets from `data`; multi-byte network fields keep the packet's byte order. */
function fieldValue(skb: SkbView, at: number): number {
  switch (at) {
    case skbAt.len:
    case skbAt.data_end:
      return skb.end - skb.start
    case skbAt.wire_len:
      return skb.wireLength
    case skbAt.pkt_type:
      return skb.pktType
    case skbAt.mark:
      return skb.mark >>> 0
    case skbAt.queue_mapping:
      return skb.queueMapping
    case skbAt.protocol:
      return swap16(skb.protocol)
    case skbAt.vlan_present:
      return skb.vlanTci < 0 ? 0 : 1
    case skbAt.vlan_tci:
      return Math.max(skb.vlanTci, 0)
    case skbAt.vlan_proto:
      return skb.vlanTci < 0 ? 0 : swap16(skb.vlanProtocol)
    case skbAt.priority:
      return skb.priority >>> 0
    case skbAt.ingress_ifindex:
      return skb.ingressIfindex
    case skbAt.ifindex:
      return skb.ifindex
    case skbAt.tc_index:
      return skb.tcIndex
    case skbAt.hash:
      return skb.hash >>> 0
    case skbAt.tc_classid:
      return skb.tcClassid >>> 0
    case skbAt.data_meta:
      return -skb.metaBytes
    case skbAt.tstamp:
      return skb.tstamp
    case skbAt.tstamp_type:
      return skb.tstampType
    case skbAt.gso_segs:
      return skb.gsoSegs
    case skbAt.gso_size:
      return skb.gsoSize
    case skbAt.data:
    case skbAt.napi_id:
    case skbAt.hwtstamp:
      return 0
    default:
      return at >= skbAt.cb && at < skbAt.hash ? (skb.cb[(at - skbAt.cb) >>> 2] as number) : notModelled(at)
  }
}

/** Fields of the owning socket: `sk`, addresses and ports. A deviation: the kernel shows them to cgroup programs. */
function notModelled(at: number): never {
  return fault(`__sk_buff.${skbFieldAt(at) ?? at} is not modelled`)
}

/**
 * bpf_convert_tstamp_read(): a program at ingress that does not ask for the clock expects a time of arrival, and sees no
 * time of departure.
 */
function isDeparture(context: RunContext, skb: SkbView): boolean {
  return context.direction === 'ingress' && skb.tstampType !== 0
}

/** The value at an offset; narrow loads give the bytes that lie there, little endian. Faults where the type may not read. */
export function loadSkb(context: RunContext, offset: number, size: number): number {
  const skb = skbOf(context)
  if (((skbAccess(context.type)[offset] ?? 0) & mayRead) === 0) refuse('read', offset, size)
  if (offset === skbAt.tstamp && isDeparture(context, skb)) return 0
  const base = offset & ~3
  if (size === 4 && base === offset) return fieldValue(skb, offset)
  const field = skbFieldAt(offset)
  const wide = field !== undefined && skbFieldSize(field) === 8
  if (size === 8)
    return wide && skbAt[field] === offset ? fieldValue(skb, offset) : refuse('read', offset, size)
  if (offset + size > base + 4) refuse('read', offset, size)
  const word = wide ? wordOf(fieldValue(skb, skbAt[field]), base - skbAt[field]) : fieldValue(skb, base)
  const shifted = word >>> ((offset - base) * 8)
  return size === 1 ? shifted & 0xff : size === 2 ? shifted & 0xffff : shifted
}

function wordOf(value: number, offset: number): number {
  return offset === 0 ? value % 0x1_0000_0000 : Math.floor(value / 0x1_0000_0000)
}

/** Stores a whole field. Faults where the type may not write, or for a part of a field. */
export function storeSkb(context: RunContext, offset: number, size: number, value: number): void {
  const skb = skbOf(context)
  if (((skbAccess(context.type)[offset] ?? 0) & mayWrite) === 0) refuse('write', offset, size)
  if ((offset & 3) !== 0 || size !== (offset === skbAt.tstamp ? 8 : 4)) refuse('write', offset, size)
  switch (offset) {
    case skbAt.mark:
      skb.mark = value >>> 0
      return
    case skbAt.tc_index:
      skb.tcIndex = value & 0xffff
      return
    case skbAt.priority:
      skb.priority = value >>> 0
      return
    case skbAt.tc_classid:
      skb.tcClassid = value & 0xffff
      return
    case skbAt.tstamp:
      skb.tstamp = value
      if (context.direction === 'ingress') skb.tstampType = 0
      return
    case skbAt.queue_mapping:
      // a value that means "no mapping" is ignored
      if (value < noQueueMapping) skb.queueMapping = value
      return
    default:
      skb.cb[(offset - skbAt.cb) >>> 2] = value
  }
}

/** struct __sk_buff for TypeScript programs; names are the UAPI's. `protocol` and `vlan_proto` are big endian, as in C. */
export class SkbContext {
  /** Direct access to the packet's bytes. */
  readonly packet: Packet
  private readonly context: RunContext

  constructor(context: RunContext) {
    this.context = context
    this.packet = new Packet(context)
  }

  get len(): number {
    return loadSkb(this.context, skbAt.len, 4)
  }

  get pkt_type(): number {
    return loadSkb(this.context, skbAt.pkt_type, 4)
  }

  get mark(): number {
    return loadSkb(this.context, skbAt.mark, 4)
  }

  set mark(value: number) {
    storeSkb(this.context, skbAt.mark, 4, value)
  }

  get queue_mapping(): number {
    return loadSkb(this.context, skbAt.queue_mapping, 4)
  }

  set queue_mapping(value: number) {
    storeSkb(this.context, skbAt.queue_mapping, 4, value)
  }

  get protocol(): number {
    return loadSkb(this.context, skbAt.protocol, 4)
  }

  get vlan_present(): number {
    return loadSkb(this.context, skbAt.vlan_present, 4)
  }

  get vlan_tci(): number {
    return loadSkb(this.context, skbAt.vlan_tci, 4)
  }

  get vlan_proto(): number {
    return loadSkb(this.context, skbAt.vlan_proto, 4)
  }

  get priority(): number {
    return loadSkb(this.context, skbAt.priority, 4)
  }

  set priority(value: number) {
    storeSkb(this.context, skbAt.priority, 4, value)
  }

  get ingress_ifindex(): number {
    return loadSkb(this.context, skbAt.ingress_ifindex, 4)
  }

  get ifindex(): number {
    return loadSkb(this.context, skbAt.ifindex, 4)
  }

  get tc_index(): number {
    return loadSkb(this.context, skbAt.tc_index, 4)
  }

  set tc_index(value: number) {
    storeSkb(this.context, skbAt.tc_index, 4, value)
  }

  get hash(): number {
    return loadSkb(this.context, skbAt.hash, 4)
  }

  get tc_classid(): number {
    return loadSkb(this.context, skbAt.tc_classid, 4)
  }

  set tc_classid(value: number) {
    storeSkb(this.context, skbAt.tc_classid, 4, value)
  }

  /** One of the five words of the control block. */
  cb(index: number): number {
    return loadSkb(this.context, cbAt(index), 4)
  }

  setCb(index: number, value: number): void {
    storeSkb(this.context, cbAt(index), 4, value)
  }

  get tstamp(): number {
    return loadSkb(this.context, skbAt.tstamp, 8)
  }

  set tstamp(value: number) {
    storeSkb(this.context, skbAt.tstamp, 8, value)
  }

  get wire_len(): number {
    return loadSkb(this.context, skbAt.wire_len, 4)
  }

  get gso_segs(): number {
    return loadSkb(this.context, skbAt.gso_segs, 4)
  }

  get gso_size(): number {
    return loadSkb(this.context, skbAt.gso_size, 4)
  }
}

function cbAt(index: number): number {
  if (index < 0 || index > 4) fault(`invalid bpf_context access: cb[${index}]`)
  return skbAt.cb + index * 4
}
