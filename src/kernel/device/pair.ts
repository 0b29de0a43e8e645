// What the two ends of a pair of devices do alike: veth, netkit.
import { setCarrier } from './change.ts'
import type { DeviceChange, NetDevice } from './device.ts'

/** Carrier of both ends: on while both are up (veth_open, veth_close, netkit_open, netkit_close). */
export function pairChanged(dev: NetDevice, what: DeviceChange): void {
  const { peer } = dev
  if (peer === undefined || (what !== 'up' && what !== 'down')) return
  const carrier = dev.up && peer.up
  setCarrier(dev, carrier)
  setCarrier(peer, carrier)
}
