// What one hook did to Cilium's conntrack maps, in words: `ct new egress`, `ct reply ingress`. The words follow from the
// entry before and after and from the packet alone.
import { readLe32 } from '../../bpf/context/byte-order.ts'
import { readU16 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import type { MapDecoder } from '../../trace/effects/decoders.ts'
import type { Snapshot } from '../../trace/event.ts'
import { type Address, sameAddress } from '../datapath/family.ts'
import { CtEntry, ctBit } from '../maps/ct-entry.ts'
import { Tuple, tupleFlag } from '../maps/tuple.ts'
import type { Era } from './notification.ts'

/** Where the counters stand: one pair in 1.19, one for each direction in 1.10. */
const packetsAt: Readonly<Record<Era, readonly number[]>> = { '1.19': [16], '1.10': [0, 16] }

function packets(entry: Uint8Array, era: Era): number {
  return packetsAt[era].reduce((sum, at) => sum + readLe32(entry, at), 0)
}

function way(flags: number): string {
  if ((flags & tupleFlag.SERVICE) !== 0) return 'service'
  return (flags & tupleFlag.IN) === 0 ? 'egress' : 'ingress'
}

/** Remarks on a new entry. */
const remarks = [
  ['node_port', 'nodeport'],
  ['dsr_internal', 'dsr'],
  ['lb_loopback', 'loopback'],
  ['proxy_redirect', 'proxy'],
] as const

function remarksOf(entry: Uint8Array): string {
  const read = new CtEntry(entry)
  return remarks.map(([bit, word]) => (read.is(bit) ? ` ${word}` : '')).join('')
}

/** The source address of a frame, at its outermost IP header; empty for other packets. */
function sourceOf({ bytes, start }: Snapshot): Address {
  const l3 = start === 'ip' ? 0 : ethernetAt.payload
  const type =
    start === 'ip' ? ((bytes[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800) : readU16(bytes, ethernetAt.type)
  if (type === 0x0800) return bytes.subarray(l3 + 12, l3 + 16)
  return type === 0x86dd ? bytes.subarray(l3 + 8, l3 + 24) : bytes.subarray(0, 0)
}

const closing = ctBit.rx_closing | ctBit.tx_closing

function isClosing(entry: Uint8Array): boolean {
  return (new CtEntry(entry).bits & closing) !== 0
}

function closedNow(before: Uint8Array, after: Uint8Array): boolean {
  const whole = (entry: Uint8Array): boolean => (new CtEntry(entry).bits & closing) === closing
  return whole(after) && !whole(before)
}

/** The decoder of all four conntrack maps. The twin for ICMP errors shows only when an error met it. */
export function conntrackDecoder(era: Era): MapDecoder {
  return (fact, { event }) => {
    const { before, after } = fact
    const tuple = Tuple.of(fact.key)
    const related = (tuple.flags & tupleFlag.RELATED) !== 0
    const line = (text: string) => [{ order: 'lookup', text: `ct ${text} ${way(tuple.flags)}` }] as const
    if (after === undefined) return related ? [] : line('delete')
    if (before === undefined) {
      return related ? [] : [{ order: 'lookup', text: `ct new ${way(tuple.flags)}${remarksOf(after)}` }]
    }
    const met = packets(after, era) !== packets(before, era)
    if (related) return met ? line('related') : []
    if (!met) return []
    // the original source of a connection stands in `daddr` of the stored tuple
    const forward = [event.before, event.after].some((snapshot) =>
      sameAddress(sourceOf(snapshot), tuple.daddr),
    )
    const again = isClosing(before) && !isClosing(after)
    const begun = packets(after, era) < packets(before, era) ? 'new' : again ? 'reopened' : undefined
    const state = begun ?? (forward ? 'established' : 'reply')
    const end = closedNow(before, after) ? ' closing' : ''
    return [{ order: 'lookup', text: `ct ${state} ${way(tuple.flags)}${end}` }]
  }
}
