// bpf_host: the programs of native devices, cilium_host and cilium_net. bpf_host.c
import type { Defines } from '../datapath/defines.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { tailHandleSolicitation } from '../datapath/icmp6-ndp.ts'
import { tailSendTimeExceeded } from '../datapath/icmp6-time-exceeded.ts'
import { nodeportTails } from '../datapath/nodeport.ts'
import { nodeportEgressTails } from '../datapath/nodeport-egress.ts'
import { tailDropNotify } from '../datapath/notify.ts'
import type { ObjectProgram, ObjectSource } from '../datapath/object.ts'
import { call } from '../datapath/tail-calls.ts'
import { hostDeliverTails, hostPolicy, toHost } from './deliver.ts'
import { hostForwardTails } from './forward.ts'
import { fromHost, fromNetdev } from './receive.ts'
import { toNetdev } from './send.ts'

/** The families that a node is compiled for. */
export function familiesOf(node: Defines): Family[] {
  return [...(node.ENABLE_IPV4 ? [ipv4] : []), ...(node.ENABLE_IPV6 ? [ipv6] : [])]
}

/** Slot DROP_NOTIFY of every object. */
export const dropNotifyTail: [number, ObjectProgram] = [
  call.DROP_NOTIFY,
  { symbol: 'tail_drop_notify', run: tailDropNotify },
]

/** bpf_host as it is compiled for a node. */
export function bpfHost(node: Defines): ObjectSource {
  const tails = familiesOf(node).flatMap((family) => [
    ...hostForwardTails(family),
    ...(node.ENABLE_HOST_FIREWALL ? hostDeliverTails(family) : []),
    ...(node.ENABLE_NODEPORT ? [...nodeportTails(family), ...nodeportEgressTails(family)] : []),
  ])
  const ipv6Tails: [number, ObjectProgram][] = node.ENABLE_IPV6
    ? [
        [call.HANDLE_ICMP6_NS, tailHandleSolicitation],
        [call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded],
      ]
    : []
  return {
    type: 'sched_cls',
    entries: [
      { symbol: 'cil_from_netdev', run: fromNetdev },
      { symbol: 'cil_from_host', run: fromHost },
      { symbol: 'cil_to_netdev', run: toNetdev },
      { symbol: 'cil_to_host', run: toHost },
      { symbol: 'cil_host_policy', run: hostPolicy },
    ],
    tails: new Map([...(node.DROP_NOTIFY ? [dropNotifyTail] : []), ...tails, ...ipv6Tails]),
  }
}
