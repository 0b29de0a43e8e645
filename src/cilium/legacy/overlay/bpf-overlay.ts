// bpf_overlay of Cilium 1.10: the programs of the tunnel device. bpf_overlay.c
import type { Defines } from '../../datapath/defines.ts'
import type { Family } from '../../datapath/family.ts'
import type { ObjectProgram, ObjectSource } from '../../datapath/object.ts'
import { familiesOf } from '../../host/bpf-host.ts'
import { tailSendTimeExceeded } from '../icmp6.ts'
import { natForwardTails } from '../masquerade.ts'
import { nodeportTails } from '../nodeport.ts'
import { dropNotifyTail } from '../notify.ts'
import { call, callsMax } from '../slots.ts'
import { fromOverlay, tailHandle } from './from-overlay.ts'
import { toOverlay } from './to-overlay.ts'

type Slot = readonly [slot: number, program: ObjectProgram]

function familySlots(node: Defines, family: Family): Slot[] {
  const four = family.version === 4
  return [
    [four ? call.IPV4_FROM_LXC : call.IPV6_FROM_LXC, tailHandle(family)],
    ...(node.ENABLE_NODEPORT ? [...nodeportTails(family), ...natForwardTails(family)] : []),
    ...(four ? [] : [[call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded] as const]),
  ]
}

/** What bpf_overlay consists of under these defines. */
export function bpfOverlay(node: Defines): ObjectSource {
  const notify: Slot[] = node.DROP_NOTIFY ? [dropNotifyTail] : []
  return {
    type: 'sched_cls',
    callsMax,
    entries: [fromOverlay, toOverlay],
    tails: new Map([...notify, ...familiesOf(node).flatMap((family) => familySlots(node, family))]),
  }
}
