// A bridge as a device (net/bridge/br_device.c, br_if.c): made, given ports, sent through. What it does with a frame
// that a port received is in bridge-input.ts.
import { isMulticastMac, readMac } from '../../net/mac.ts'
import { countSent } from '../counters.ts'
import { drop } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { fdbAddLocal, fdbForgetPort, fdbLookup, fdbRemoveLocal } from './bridge-fdb.ts'
import { flood, forward } from './bridge-forward.ts'
import { handleFrame, resumeAfterDnat } from './bridge-input.ts'
import { type BridgePort, type BridgeState, bridgeState } from './bridge-state.ts'
import { type AdminResult, adminDone, notify, refused, setCarrier, setMtu } from './change.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { type DeviceChange, type DeviceOps, type NetDevice, transmitted } from './device.ts'

/** BR_DEFAULT_AGEING_TIME. */
const ageingDefault = 300_000_000_000
/** ETH_DATA_LEN. */
const mtuDefault = 1500

/** br_dev_xmit(): the host's own frame, to the port that is known or to all. */
function transmit(bridge: NetDevice, skb: Skb): number {
  if (resumeAfterDnat(bridge, skb)) return transmitted
  const state = bridgeState(bridge)
  countSent(bridge, skb.length)
  const destination = readMac(skb.bytes, skb.data)
  const group = isMulticastMac(destination)
  const entry = group ? undefined : fdbLookup(state, destination, bridge.ns.machine.clock.now)
  if (entry === undefined) flood(state, skb, { bridge, from: undefined, keep: false, group })
  else if (entry.port !== undefined) forward(entry.port, skb, { from: undefined, keep: false })
  else
    drop(skb, {
      node: bridge.ns.name,
      device: bridge.name,
      stage: 'bridge',
      reason: 'SKB_DROP_REASON_NO_TX_TARGET',
    })
  return transmitted
}

function changed(bridge: NetDevice, what: DeviceChange): void {
  const state = bridgeState(bridge)
  if (what === 'mtu') state.mtuChosen = true
  if (what !== 'mac') return
  fdbRemoveLocal(state, undefined)
  fdbAddLocal(state, bridge.mac, undefined)
  state.macChosen = true
}

const ops: DeviceOps = { transmit, changed }

/** br_stp_recalculate_bridge_id(): the lowest address of the ports, as long as nobody chose one. */
function followPorts(bridge: NetDevice, state: BridgeState): void {
  if (!state.macChosen && state.ports.length > 0) {
    const lowest = Math.min(...state.ports.map((port) => port.dev.mac))
    if (lowest !== bridge.mac) {
      bridge.mac = lowest
      notify(bridge, 'mac')
      state.macChosen = false
    }
  }
  updateCarrier(bridge, state)
}

/** br_mtu_auto_adjust(): the least MTU of the ports, 1500 without any, as long as nobody chose one. */
function followMtu(bridge: NetDevice, state: BridgeState): void {
  if (state.mtuChosen) return
  const { ports } = state
  setMtu(bridge, ports.length === 0 ? mtuDefault : Math.min(...ports.map(({ dev }) => dev.mtu)))
  state.mtuChosen = false
}

/** A bridge has carrier while one of its ports is up and has it. */
function updateCarrier(bridge: NetDevice, state: BridgeState): void {
  setCarrier(
    bridge,
    state.ports.some((port) => port.dev.up && port.dev.carrier),
  )
}

/** A bridge without ports, down. With `mac` the address is chosen and stays; `ageing` is in nanoseconds. */
export function addBridge(ns: Namespace, options: DeviceOptions & { readonly ageing?: number }): NetDevice {
  const state: BridgeState = {
    ports: [],
    byDevice: new Map(),
    fdb: new Map(),
    ageingNanoseconds: options.ageing ?? ageingDefault,
    macChosen: options.mac !== undefined,
    mtuChosen: false, // what a bridge is made with is no choice for the time when it has ports
  }
  const bridge = createDevice(ns, { ...options, kind: 'bridge', ops, private: state, carrier: false })
  fdbAddLocal(state, bridge.mac, undefined)
  return bridge
}

/** Flags of a port; absent ones are off, except learning and flood. */
export interface PortFlags {
  readonly hairpin?: boolean
  readonly isolated?: boolean
  readonly learning?: boolean
  readonly flood?: boolean
}

/** `ip link set DEV master BRIDGE`: EINVAL for lo, ELOOP for a bridge, EBUSY for a device that has a master. */
export function setMaster(dev: NetDevice, bridge: NetDevice, flags: PortFlags = {}): AdminResult {
  if (dev.kind === 'loopback' || dev.ns !== bridge.ns || bridge.kind !== 'bridge') return refused('EINVAL')
  if (dev.kind === 'bridge') return refused('ELOOP')
  if (dev.master !== undefined || dev.rxHandler !== undefined) return refused('EBUSY')
  const state = bridgeState(bridge)
  const port: BridgePort = {
    dev,
    bridge,
    hairpin: flags.hairpin ?? false,
    isolated: flags.isolated ?? false,
    learning: flags.learning ?? true,
    flood: flags.flood ?? true,
  }
  state.ports.unshift(port)
  state.byDevice.set(dev, port)
  dev.master = bridge
  dev.promiscuous = true
  dev.rxHandler = handleFrame
  fdbAddLocal(state, dev.mac, port)
  followPorts(bridge, state)
  followMtu(bridge, state)
  return adminDone
}

/** `ip link set DEV nomaster`. */
export function releaseMaster(dev: NetDevice): AdminResult {
  const bridge = dev.master
  if (bridge === undefined) return adminDone
  const state = bridgeState(bridge)
  const port = state.byDevice.get(dev)
  if (port === undefined) return refused('EINVAL')
  state.ports.splice(state.ports.indexOf(port), 1)
  state.byDevice.delete(dev)
  fdbForgetPort(state, port, 'all')
  dev.master = undefined
  dev.promiscuous = false
  dev.rxHandler = undefined
  followPorts(bridge, state)
  followMtu(bridge, state)
  return adminDone
}

/** `bridge link set dev DEV hairpin on` and its like; false when the device is no port. */
export function setPortFlags(dev: NetDevice, flags: PortFlags): boolean {
  const port = dev.master === undefined ? undefined : bridgeState(dev.master).byDevice.get(dev)
  if (port === undefined) return false
  port.hairpin = flags.hairpin ?? port.hairpin
  port.isolated = flags.isolated ?? port.isolated
  port.learning = flags.learning ?? port.learning
  port.flood = flags.flood ?? port.flood
  return true
}

/** br_device_event(): a port went up or down, or got another address or MTU. A port without carrier forgets what it learned. */
export function portChanged(dev: NetDevice, what: DeviceChange): void {
  const bridge = dev.master
  if (bridge === undefined) return
  const state = bridgeState(bridge)
  const port = state.byDevice.get(dev)
  if (port === undefined) return
  if (what === 'mac') {
    fdbRemoveLocal(state, port)
    fdbAddLocal(state, dev.mac, port)
    followPorts(bridge, state)
  } else if (what === 'mtu') {
    followMtu(bridge, state)
  } else if (what !== 'gone') {
    if (!dev.up || !dev.carrier) fdbForgetPort(state, port, 'learned')
    updateCarrier(bridge, state)
  }
}
