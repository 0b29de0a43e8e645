// IPv4 and ARP as a machine's protocols (inet_init, arp_init): called once, before the first namespace.
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { deliverOutcome } from '../drop.ts'
import type { Machine } from '../machine.ts'
import { arpReceive } from './arp.ts'
import { arpOps } from './arp-send.ts'
import { ipDeviceChanged } from './device-events.ts'
import { icmpTransport } from './icmp-receive.ts'
import { icmpSend } from './icmp-send.ts'
import { ipReceive, ipReceiveList } from './receive.ts'

/** Registers the handlers of 0x0800 and 0x0806, ICMP, ARP's part of the neighbour machine, and the device notifier. */
export function installIp(machine: Machine): void {
  machine.protocols.set(etherType.ipv4, ipReceive)
  machine.listProtocols.set(etherType.ipv4, ipReceiveList)
  machine.protocols.set(etherType.arp, arpReceive)
  machine.notifiers.push(ipDeviceChanged)
  const stack = machine.ipStack
  stack.transports.set(ipProtocol.icmp, icmpTransport)
  // igmp_rcv() takes every message; what a querier asks is not answered here
  stack.transports.set(ipProtocol.igmp, {
    receive: (skb) =>
      deliverOutcome(skb, { device: skb.dev.name, stage: 'rx', actor: 'kernel', target: 'igmp' }),
    error: () => true,
  })
  stack.neighbourOps.set(4, arpOps)
  stack.sendError = icmpSend
}
