// bpf_lxc of Cilium 1.10: the programs of one pod. bpf_lxc.c
import type { Defines } from '../../datapath/defines.ts'
import { type Family, ipv4, ipv6 } from '../../datapath/family.ts'
import type { ObjectProgram, ObjectSource } from '../../datapath/object.ts'
import { isDualStack } from '../../lxc/settings.ts'
import { tailHandleSolicitation, tailSendEchoReply, tailSendTimeExceeded } from '../icmp6.ts'
import { nodeportTails } from '../nodeport.ts'
import { dropNotifyTail } from '../notify.ts'
import { call, callsMax } from '../slots.ts'
import { fromContainer, tailHandle, tailHandleArp } from './from-container.ts'
import { handlePolicy, tailPolicy, tailToEndpoint, toContainer } from './policy-program.ts'

type Slot = readonly [slot: number, program: ObjectProgram]

/** Programs that are inline where only one family is compiled in. */
function dualStackSlots(family: Family): Slot[] {
  const four = family === ipv4
  return [
    [four ? call.IPV4_FROM_LXC : call.IPV6_FROM_LXC, tailHandle(family)],
    [four ? call.IPV4_TO_LXC_POLICY_ONLY : call.IPV6_TO_LXC_POLICY_ONLY, tailPolicy(family)],
    [four ? call.IPV4_TO_ENDPOINT : call.IPV6_TO_ENDPOINT, tailToEndpoint(family)],
  ]
}

/** The slots of one family. */
function familySlots(node: Defines, family: Family): Slot[] {
  return [
    ...(isDualStack(node) ? dualStackSlots(family) : []),
    ...(node.ENABLE_NODEPORT ? nodeportTails(family) : []),
  ]
}

function ipv4Slots(node: Defines): Slot[] {
  const arp: Slot[] = node.ENABLE_ARP_RESPONDER ? [[call.ARP, tailHandleArp]] : []
  return [...familySlots(node, ipv4), ...arp]
}

function ipv6Slots(node: Defines): Slot[] {
  return [
    ...familySlots(node, ipv6),
    [call.SEND_ICMP6_ECHO_REPLY, tailSendEchoReply],
    [call.HANDLE_ICMP6_NS, tailHandleSolicitation],
    [call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded],
  ]
}

/** What bpf_lxc consists of under these defines. */
export function bpfLxc(node: Defines): ObjectSource {
  const notify: Slot[] = node.DROP_NOTIFY ? [dropNotifyTail] : []
  const four = node.ENABLE_IPV4 ? ipv4Slots(node) : []
  const six = node.ENABLE_IPV6 ? ipv6Slots(node) : []
  return {
    type: 'sched_cls',
    callsMax,
    entries: [fromContainer, toContainer, handlePolicy],
    tails: new Map([...notify, ...four, ...six]),
  }
}
