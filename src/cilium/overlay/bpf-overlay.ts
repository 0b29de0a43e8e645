// bpf_overlay.o: the programs of the tunnel device. bpf_overlay.c

import type { Defines } from '../datapath/defines.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { tailSendTimeExceeded } from '../datapath/icmp6-time-exceeded.ts'
import { nodeportTails } from '../datapath/nodeport.ts'
import { nodeportEgressTails } from '../datapath/nodeport-egress.ts'
import { tailDropNotify } from '../datapath/notify.ts'
import type { ObjectProgram, ObjectSource } from '../datapath/object.ts'
import { call } from '../datapath/tail-calls.ts'
import { tailHandleArp } from './arp.ts'
import { fromOverlay, tailHandle } from './from-overlay.ts'
import { toOverlay } from './to-overlay.ts'

type Slot = readonly [slot: number, program: ObjectProgram]

function nodeportSlots(node: Defines, family: Family): Slot[] {
  return node.ENABLE_NODEPORT ? [...nodeportTails(family), ...nodeportEgressTails(family)] : []
}

function ipv4Slots(node: Defines): Slot[] {
  if (!node.ENABLE_IPV4) return []
  const arp: Slot[] = node.ENABLE_VTEP ? [[call.ARP, tailHandleArp]] : []
  return [[call.IPV4_FROM_OVERLAY, tailHandle(ipv4)], ...arp, ...nodeportSlots(node, ipv4)]
}

function ipv6Slots(node: Defines): Slot[] {
  if (!node.ENABLE_IPV6) return []
  return [
    [call.IPV6_FROM_OVERLAY, tailHandle(ipv6)],
    [call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded],
    ...nodeportSlots(node, ipv6),
  ]
}

/** What bpf_overlay consists of under these defines. */
export function bpfOverlay(node: Defines): ObjectSource {
  const notify: Slot[] = node.DROP_NOTIFY
    ? [[call.DROP_NOTIFY, { symbol: 'tail_drop_notify', run: tailDropNotify }]]
    : []
  return {
    type: 'sched_cls',
    entries: [fromOverlay, toOverlay],
    tails: new Map([...notify, ...ipv4Slots(node), ...ipv6Slots(node)]),
  }
}
