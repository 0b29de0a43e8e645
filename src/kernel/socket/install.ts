// The transport protocols of a machine (inet_add_protocol): called once, behind installIp and installIp6.
import { ipProtocol } from '../../net/protocol.ts'
import type { Machine } from '../machine.ts'
import { pingArrives, pingError } from './ping.ts'
import { tcpError } from './tcp-error.ts'
import { tcpArrives } from './tcp-input.ts'
import { udpArrives, udpError } from './udp-receive.ts'

/** Registers UDP, TCP and the sockets that send echo requests. */
export function installSockets(machine: Machine): void {
  const stack = machine.ipStack
  stack.transports.set(ipProtocol.udp, { receive: udpArrives, error: udpError })
  stack.transports.set(ipProtocol.tcp, { receive: tcpArrives, error: tcpError })
  stack.ping = { receive: pingArrives, error: pingError }
}
