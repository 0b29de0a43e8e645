// Tunnel devices of the model as the kernel makes them.
import { present } from '../base/assert.ts'
import { addGeneve } from '../kernel/device/geneve.ts'
import { addIpip } from '../kernel/device/ipip.ts'
import { addVxlan } from '../kernel/device/vxlan.ts'
import type { Namespace } from '../kernel/namespace.ts'
import type { DeviceModel } from '../model/device-model.ts'
import { deviceOf } from './resolved.ts'

/** `ip link add NAME type vxlan|geneve|ipip ...`. */
export function createTunnel(ns: Namespace, model: DeviceModel): void {
  const tunnel = present(model.tunnel, `${model.name} is a tunnel`)
  const lower = model.lower === undefined ? {} : { lower: deviceOf(ns, model.lower) }
  const options = { name: model.name, mac: model.mac, mtu: model.mtu, ...tunnel, ...lower }
  if (model.kind === 'vxlan') addVxlan(ns, options)
  else if (model.kind === 'geneve') addGeneve(ns, options)
  else addIpip(ns, options)
}
