// The part of a device that all kinds share, and the table of a namespace's devices.
import { macFrom, zeroMac } from '../../net/mac.ts'
import { createCounters } from '../counters.ts'
import { nameHash } from '../name-hash.ts'
import type { Namespace } from '../namespace.ts'
import type { DeviceKind, DeviceOps, NetDevice } from './device.ts'

export interface DeviceOptions {
  readonly name: string
  /** Derived from the names of namespace and device when absent. */
  readonly mac?: number | undefined
  readonly mtu?: number | undefined
}

interface KindOptions extends DeviceOptions {
  readonly kind: DeviceKind
  readonly ops: DeviceOps
  readonly arp?: boolean
  readonly lower?: NetDevice
  readonly private?: unknown
  readonly carrier?: boolean
  readonly headerBytes?: number
  readonly tunnel?: boolean
  readonly mtuMax?: number
}

const defaultMtu = 1500
const ethernetHeaderBytes = 14

/** A locally administered unicast address that depends on names only, so that an added device changes no other. */
function derivedMac(ns: Namespace, device: string): number {
  return macFrom(0x0200_0000_0000 + nameHash(`${ns.name}/${device}`))
}

/** register_netdevice: the device is down; ifindexes count from 1 in each namespace (facts: linux 3.11). */
export function createDevice(ns: Namespace, options: KindOptions): NetDevice {
  const dev: NetDevice = {
    ns,
    name: options.name,
    kind: options.kind,
    ifindex: ns.nextIfindex,
    mac: options.kind === 'loopback' ? zeroMac : (options.mac ?? derivedMac(ns, options.name)),
    mtu: options.mtu ?? defaultMtu,
    up: false,
    carrier: options.carrier ?? true,
    carrierChanged: Number.NEGATIVE_INFINITY,
    promiscuous: false,
    arp: options.arp ?? true,
    headerBytes: options.headerBytes ?? ethernetHeaderBytes,
    tunnel: options.tunnel ?? false,
    mtuMax: options.mtuMax,
    ops: options.ops,
    counters: createCounters(),
    peer: undefined,
    master: undefined,
    rxHandler: undefined,
    lower: options.lower,
    xdp: undefined,
    tcIngress: undefined,
    tcEgress: undefined,
    qdisc: undefined,
    pollQueue: undefined,
    taps: [],
    vlans: undefined,
    macvlans: undefined,
    private: options.private,
    // tunnels merge what they have opened unless told otherwise (gro_cells)
    offloads: { tso: false, gro: options.tunnel ?? false },
  }
  ns.nextIfindex += 1
  ns.devices.set(dev.ifindex, dev)
  ns.devicesByName.set(dev.name, dev)
  return dev
}
