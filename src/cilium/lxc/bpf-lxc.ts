// bpf_lxc.o: the programs of one pod. bpf_lxc.c

import type { Defines } from '../datapath/defines.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { tailHandleSolicitation } from '../datapath/icmp6-ndp.ts'
import { tailSendTimeExceeded } from '../datapath/icmp6-time-exceeded.ts'
import { noServiceTails } from '../datapath/no-service.ts'
import { nodeportTails } from '../datapath/nodeport.ts'
import { revNatTails } from '../datapath/nodeport-reply.ts'
import { tailDropNotify } from '../datapath/notify.ts'
import type { ObjectProgram, ObjectSource } from '../datapath/object.ts'
import { call } from '../datapath/tail-calls.ts'
import { tailHandleArp } from './arp.ts'
import { tailHandleCont } from './egress.ts'
import { fromContainer, lxcPolicyEgress, tailCtEgress, tailHandle } from './from-container.ts'
import { tailPolicyDenied4 } from './policy-denied.ts'
import { lxcPolicy, tailCtIngressPolicyOnly, tailPolicy } from './policy-program.ts'
import { tailCtIngress, tailToEndpoint, toContainer } from './to-container.ts'

type Slot = readonly [slot: number, program: ObjectProgram]

/** Slots of services: replies of a pod behind a NodePort, and answers for services without backends. */
function serviceSlots(node: Defines, family: Family): Slot[] {
  return [
    ...(node.ENABLE_NODEPORT ? revNatTails(family) : []),
    ...(node.SERVICE_NO_BACKEND_RESPONSE ? noServiceTails(family) : []),
  ]
}

/** The slots that both families have. */
function familySlots(family: Family): Slot[] {
  const isIpv4 = family.version === 4
  return [
    [isIpv4 ? call.IPV4_FROM_LXC : call.IPV6_FROM_LXC, tailHandle(family)],
    [isIpv4 ? call.IPV4_CT_EGRESS : call.IPV6_CT_EGRESS, tailCtEgress(family)],
    [isIpv4 ? call.IPV4_FROM_LXC_CONT : call.IPV6_FROM_LXC_CONT, tailHandleCont(family)],
    [
      isIpv4 ? call.IPV4_CT_INGRESS_POLICY_ONLY : call.IPV6_CT_INGRESS_POLICY_ONLY,
      tailCtIngressPolicyOnly(family),
    ],
    [isIpv4 ? call.IPV4_TO_LXC_POLICY_ONLY : call.IPV6_TO_LXC_POLICY_ONLY, tailPolicy(family)],
    [isIpv4 ? call.IPV4_CT_INGRESS : call.IPV6_CT_INGRESS, tailCtIngress(family)],
    [isIpv4 ? call.IPV4_TO_ENDPOINT : call.IPV6_TO_ENDPOINT, tailToEndpoint(family)],
  ]
}

/** Programs for connections that came through a NodePort. */
function nodeportSlots(node: Defines, family: Family): Slot[] {
  return node.ENABLE_NODEPORT ? nodeportTails(family) : []
}

function ipv4Slots(node: Defines): Slot[] {
  if (!node.ENABLE_IPV4) return []
  const arp: Slot[] = node.ENABLE_ARP_RESPONDER ? [[call.ARP, tailHandleArp]] : []
  return [
    ...familySlots(ipv4),
    ...nodeportSlots(node, ipv4),
    ...arp,
    [call.IPV4_POLICY_DENIED, tailPolicyDenied4],
  ]
}

function ipv6Slots(node: Defines): Slot[] {
  if (!node.ENABLE_IPV6) return []
  return [
    ...familySlots(ipv6),
    ...serviceSlots(node, ipv6),
    ...nodeportSlots(node, ipv6),
    [call.HANDLE_ICMP6_NS, tailHandleSolicitation],
    [call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded],
  ]
}

function makeSource(node: Defines): ObjectSource {
  const notify: Slot[] = node.DROP_NOTIFY
    ? [[call.DROP_NOTIFY, { symbol: 'tail_drop_notify', run: tailDropNotify }]]
    : []
  return {
    type: 'sched_cls',
    entries: [fromContainer, toContainer, lxcPolicy, lxcPolicyEgress],
    tails: new Map([...notify, ...ipv4Slots(node), ...ipv6Slots(node)]),
  }
}

const made = new WeakMap<Defines, ObjectSource>()

/** What bpf_lxc consists of under these defines; made once for all endpoints that share them. */
export function bpfLxc(node: Defines): ObjectSource {
  const source = made.get(node) ?? makeSource(node)
  made.set(node, source)
  return source
}
