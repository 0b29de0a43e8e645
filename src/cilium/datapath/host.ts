// bpf_host: the programs of native devices, cilium_host and cilium_net. bpf_host.c
import type { NodeConfig } from './config.ts'
import { type Family, ipv4, ipv6 } from './family.ts'
import { hostDeliverTails, hostPolicy, toHost } from './host-deliver.ts'
import { hostForwardTails } from './host-forward.ts'
import { fromHost, fromNetdev } from './host-receive.ts'
import { toNetdev } from './host-send.ts'
import { tailHandleSolicitation } from './icmp6-ndp.ts'
import { tailSendTimeExceeded } from './icmp6-time-exceeded.ts'
import { nodeportTails } from './nodeport.ts'
import { nodeportEgressTails } from './nodeport-egress.ts'
import { tailDropNotify } from './notify.ts'
import type { ObjectProgram, ObjectSource } from './object.ts'
import { call } from './tail-calls.ts'

/** The families that a node is compiled for. */
export function familiesOf(config: NodeConfig): Family[] {
  return [...(config.ENABLE_IPV4 ? [ipv4] : []), ...(config.ENABLE_IPV6 ? [ipv6] : [])]
}

/** Slot DROP_NOTIFY of every object. */
export const dropNotifyTail: [number, ObjectProgram] = [
  call.DROP_NOTIFY,
  { symbol: 'tail_drop_notify', run: tailDropNotify },
]

/** bpf_host as it is compiled for a node. */
export function hostObject(config: NodeConfig): ObjectSource {
  const tails = familiesOf(config).flatMap((family) => [
    ...hostForwardTails(family),
    ...(config.ENABLE_HOST_FIREWALL ? hostDeliverTails(family) : []),
    ...(config.ENABLE_NODEPORT ? [...nodeportTails(family), ...nodeportEgressTails(family)] : []),
  ])
  const ipv6Tails: [number, ObjectProgram][] = config.ENABLE_IPV6
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
    tails: new Map([...(config.DROP_NOTIFY ? [dropNotifyTail] : []), ...tails, ...ipv6Tails]),
  }
}
