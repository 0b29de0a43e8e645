// IPv6 as a machine's protocol (inet6_init): called once, before the first namespace, behind installIp.
import { etherType, ipProtocol } from '../../net/protocol.ts'
import type { Machine } from '../machine.ts'
import { icmp6Transport } from './icmp-receive.ts'
import { icmp6Send } from './icmp-send.ts'
import { ndiscOps } from './ndisc-send.ts'
import { ip6Receive, ip6ReceiveList } from './receive.ts'

/** Registers the handler of 0x86dd, ICMPv6, and neighbour discovery's part of the neighbour machine. */
export function installIp6(machine: Machine): void {
  machine.protocols.set(etherType.ipv6, ip6Receive)
  machine.listProtocols.set(etherType.ipv6, ip6ReceiveList)
  const stack = machine.ipStack
  stack.transports.set(ipProtocol.icmp6, icmp6Transport)
  stack.neighbourOps.set(6, ndiscOps)
  stack.sendError6 = icmp6Send
}
