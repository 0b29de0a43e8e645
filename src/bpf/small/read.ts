// Compiles the reading of a field to a function on a run. NaN says "not there": it makes every comparison false.
import { readU8, readU16, readU24, readU32, readU48 } from '../../net/bytes.ts'
import { readLe32 } from '../context/byte-order.ts'
import { loadSkb } from '../context/skb.ts'
import { skbAt } from '../context/skb-fields.ts'
import type { TunnelKey } from '../contract.ts'
import { fault } from '../fault.ts'
import { ktimeGetNs } from '../helpers/general.ts'
import { tracedCall } from '../helpers/note.ts'
import {
  type FieldName,
  type HeaderField,
  headerFields,
  isHeaderField,
  layers,
  type MetaFieldName,
} from './fields.ts'
import type { SmallRun } from './headers.ts'

/** A number for a run, or NaN. */
export type NumberOf = (run: SmallRun) => number

/** "Not there". */
export const absent = Number.NaN

type Read = (bytes: Uint8Array, offset: number) => number

const readers: Readonly<Record<number, Read>> = { 1: readU8, 2: readU16, 3: readU24, 4: readU32, 6: readU48 }

/** The word of `bytes` bytes at an offset, big endian. */
export function reader(bytes: number): Read {
  return readers[bytes] ?? fault(`no number of ${bytes} bytes`)
}

function readHeader(field: HeaderField): NumberOf {
  const { at, shift, mask, scale } = field
  const layer = layers[field.layer]
  const read = reader(field.bytes)
  const whole = shift === 0 && scale === 1 && (mask > 0xffff_ffff || mask === 2 ** (8 * field.bytes) - 1)
  if (whole) {
    return (run) => {
      const offset = run.layer(layer)
      return offset < 0 ? absent : read(run.bytes, offset + at)
    }
  }
  return (run) => {
    const offset = run.layer(layer)
    return offset < 0 ? absent : ((read(run.bytes, offset + at) >>> shift) & mask) * scale
  }
}

/** A VLAN tag may lie beside the packet (tc) or in it (XDP, or a second tag). */
function readVlan(field: HeaderField): NumberOf {
  const inPacket = readHeader(field)
  return (run) => {
    const skb = run.context.skb
    if (skb === undefined || skb.vlanTci < 0) return inPacket(run)
    return field.at === 0 ? (skb.vlanTci >>> field.shift) & field.mask : skb.protocol
  }
}

function fromSkb(offset: number, convert: (value: number) => number = (value) => value): NumberOf {
  return (run) => (run.context.skb === undefined ? absent : convert(loadSkb(run.context, offset, 4)))
}

function fromTunnel(read: (key: TunnelKey) => number): NumberOf {
  return (run) => {
    const key = run.context.skb?.tunnelKey
    return key === undefined ? absent : read(key)
  }
}

function numberOr(address: TunnelKey['local']): number {
  return typeof address === 'number' ? address : absent
}

/** The last word that XDP put in front of the packet, as a C program reads it. */
function readMeta(run: SmallRun): number {
  const { xdp, skb } = run.context
  const bytes = xdp !== undefined ? xdp.data - xdp.meta : (skb?.metaBytes ?? 0)
  return bytes < 4 ? absent : readLe32(run.bytes, run.start - bytes)
}

function readIfindex(run: SmallRun): number {
  return run.context.xdp?.ifindex ?? run.context.skb?.ifindex ?? absent
}

function readIif(run: SmallRun): number {
  return run.context.xdp?.ifindex ?? run.context.skb?.ingressIfindex ?? absent
}

function readEtherType(run: SmallRun): number {
  return run.context.skb === undefined ? readHeader(headerFields['eth.type'])(run) : run.context.skb.protocol
}

const metaReaders: Readonly<Record<MetaFieldName, NumberOf>> = {
  mark: fromSkb(skbAt.mark),
  tstamp: (run) => (run.context.skb === undefined ? absent : loadSkb(run.context, skbAt.tstamp, 8)),
  now: (run) => tracedCall(run.context, 'ktime_get_ns', ktimeGetNs),
  meta: readMeta,
  ifindex: readIfindex,
  iif: readIif,
  gso_size: fromSkb(skbAt.gso_size),
  gso_segs: fromSkb(skbAt.gso_segs),
  wire_len: fromSkb(skbAt.wire_len),
  hash: fromSkb(skbAt.hash),
  protocol: readEtherType,
  priority: fromSkb(skbAt.priority),
  queue: (run) => run.context.xdp?.rxQueueIndex ?? fromSkb(skbAt.queue_mapping)(run),
  tc_index: fromSkb(skbAt.tc_index),
  tc_classid: fromSkb(skbAt.tc_classid),
  cb0: fromSkb(skbAt.cb),
  cb1: fromSkb(skbAt.cb + 4),
  cb2: fromSkb(skbAt.cb + 8),
  cb3: fromSkb(skbAt.cb + 12),
  cb4: fromSkb(skbAt.cb + 16),
  'packet.len': (run) => run.end - run.start,
  'packet.type': fromSkb(skbAt.pkt_type),
  'tunnel.vni': fromTunnel((key) => key.id),
  'tunnel.ttl': fromTunnel((key) => key.ttl),
  'tunnel.tos': fromTunnel((key) => key.tos),
  'tunnel.remote': fromTunnel((key) => numberOr(key.remote)),
  'tunnel.local': fromTunnel((key) => numberOr(key.local)),
}

/** Compiles the reading of a field that is a number; an IPv6 address is not one. */
export function readField(name: FieldName): NumberOf {
  if (!isHeaderField(name)) return metaReaders[name]
  const field = headerFields[name]
  if (field.bytes > 6) fault(`${name} is not a number`)
  return field.layer === 'vlan' ? readVlan(field) : readHeader(field)
}
