// The trace's line for a routing decision of either family: this packet goes on to another host.
import { formatIp } from '../../net/address.ts'
import type { Skb } from '../skb.ts'
import type { Route } from './route.ts'

/** Notes that a packet is forwarded by a route: device, next hop, and the table that held it. */
export function noteForward(skb: Skb, route: Route): void {
  const { ns } = route.device
  const via = route.gateway
  ns.machine.trace?.note(
    skb,
    { node: ns.name, device: '', stage: 'route' },
    {
      actor: 'kernel',
      decision: { code: 'FORWARD', target: route.device.name },
      facts: [
        {
          kind: 'fib',
          device: route.device.name,
          ...(via === undefined ? {} : { via: formatIp(via) }),
          ...(route.table === 0 ? {} : { table: route.table }),
        },
      ],
    },
  )
}
