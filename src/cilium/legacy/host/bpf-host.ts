// bpf_host of 1.10: the programs of native devices, cilium_host and cilium_net. bpf_host.c
import type { Defines } from '../../datapath/defines.ts'
import type { ObjectProgram, ObjectSource } from '../../datapath/object.ts'
import { familiesOf } from '../../host/bpf-host.ts'
import { tailHandleSolicitation, tailSendTimeExceeded } from '../icmp6.ts'
import { natForwardTails } from '../masquerade.ts'
import { nodeportTails } from '../nodeport.ts'
import { dropNotifyTail } from '../notify.ts'
import { call, callsMax } from '../slots.ts'
import { handleLxcTraffic, hostDeliverTails, toHost } from './deliver.ts'
import { hostForwardTails } from './forward.ts'
import { fromHost, fromNetdev } from './receive.ts'
import { toNetdev } from './send.ts'

/** bpf_host as it is compiled for a node. */
export function bpfHost(node: Defines): ObjectSource {
  const { ENABLE_HOST_FIREWALL, ENABLE_ROUTING, ENABLE_NODEPORT, DROP_NOTIFY } = node
  const firewallOfPods = ENABLE_HOST_FIREWALL && !ENABLE_ROUTING
  const tails = familiesOf(node).flatMap((family) => [
    ...hostForwardTails(family),
    ...(firewallOfPods ? hostDeliverTails(family) : []),
    ...(ENABLE_NODEPORT ? [...nodeportTails(family), ...natForwardTails(family)] : []),
  ])
  const ipv6Tails: [number, ObjectProgram][] = node.ENABLE_IPV6
    ? [
        [call.HANDLE_ICMP6_NS, tailHandleSolicitation],
        [call.SEND_ICMP6_TIME_EXCEEDED, tailSendTimeExceeded],
      ]
    : []
  return {
    type: 'sched_cls',
    callsMax,
    entries: [
      { symbol: 'from-netdev', run: fromNetdev },
      { symbol: 'from-host', run: fromHost },
      { symbol: 'to-netdev', run: toNetdev },
      { symbol: 'to-host', run: toHost },
      ...(firewallOfPods ? [{ symbol: 'handle_lxc_traffic', run: handleLxcTraffic }] : []),
    ],
    tails: new Map([...(DROP_NOTIFY ? [dropNotifyTail] : []), ...tails, ...ipv6Tails]),
  }
}
