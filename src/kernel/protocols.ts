// Which protocols a machine speaks: the handlers by ethertype and the functions that follow changes of devices.
import { portChanged } from './device/bridge.ts'
import { installIp } from './ip/install.ts'
import { installIp6 } from './ip6/install.ts'
import type { Machine } from './machine.ts'
import { installSockets } from './socket/install.ts'
import { installXfrm } from './xfrm/install.ts'

/** Registers everything above the devices (inet_init, inet6_init, arp_init). */
export function installProtocols(machine: Machine): void {
  machine.notifiers.push(portChanged)
  installIp(machine)
  installIp6(machine)
  installSockets(machine)
  installXfrm(machine)
}
