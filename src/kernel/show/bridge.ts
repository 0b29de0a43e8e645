// `bridge fdb` and `bridge [-d] link`, as iproute2 6.1 prints them. Multicast memberships of the devices themselves
// (`33:33:... self permanent`) are not modelled and not listed.
import { formatIp } from '../../net/address.ts'
import { formatMac, macFrom } from '../../net/mac.ts'
import { type BridgeState, bridgeState } from '../device/bridge-state.ts'
import type { NetDevice } from '../device/device.ts'
import { vxlanState } from '../device/vxlan-state.ts'
import type { Namespace } from '../namespace.ts'
import { portState } from './link-detail.ts'
import { flagsText } from './link-state.ts'

export interface FdbOptions {
  /** `bridge fdb show dev DEV`: the device is then left out of the lines. */
  readonly device: string | undefined
  /** `bridge fdb show br BRIDGE`. */
  readonly bridge: string | undefined
}

/** Entries of one bridge that are not too old, of one device. */
function entriesOf(state: BridgeState, bridge: NetDevice, dev: NetDevice): readonly string[] {
  const { now } = bridge.ns.machine.clock
  const lines: string[] = []
  for (const [mac, entry] of state.fdb) {
    if ((entry.port?.dev ?? bridge) !== dev) continue
    if (!entry.local && now - entry.updated >= state.ageingNanoseconds) continue
    lines.push(`${formatMac(macFrom(mac))} DEVmaster ${bridge.name} ${entry.local ? 'permanent' : ''}`)
  }
  return lines
}

/** Entries of a vxlan: a line for each remote host. */
function remotesOf(dev: NetDevice, named: boolean): readonly string[] {
  return [...vxlanState(dev).fdb].flatMap(([mac, entry]) =>
    entry.remotes.map((remote) => {
      const via = remote.via === 0 ? '' : `via ${dev.ns.devices.get(remote.via)?.name ?? remote.via} `
      const port = remote.port === undefined ? '' : `port ${remote.port} `
      const vni = remote.vni === undefined ? '' : `vni ${remote.vni} `
      const on = named ? `dev ${dev.name} ` : ''
      const end = entry.fixed ? 'permanent' : ''
      return `${formatMac(macFrom(mac))} ${on}dst ${formatIp(remote.address)} ${port}${vni}${via}self ${end}`
    }),
  )
}

/** `bridge fdb`: device after device, by index. */
export function showFdb(ns: Namespace, options: FdbOptions): string {
  const lines: string[] = []
  for (const dev of ns.devices.values()) {
    const bridge = dev.kind === 'bridge' ? dev : dev.master
    if (dev.kind === 'vxlan' && options.bridge === undefined && (options.device ?? dev.name) === dev.name)
      lines.push(...remotesOf(dev, options.device === undefined))
    if (bridge === undefined || (options.bridge !== undefined && bridge.name !== options.bridge)) continue
    if (options.device !== undefined && dev.name !== options.device) continue
    const device = options.device === undefined ? `dev ${dev.name} ` : ''
    for (const line of entriesOf(bridgeState(bridge), bridge, dev)) lines.push(line.replace('DEV', device))
  }
  return lines.map((line) => `${line}\n`).join('')
}

const onOff = (flag: boolean): string => (flag ? 'on' : 'off')

/** `bridge link`: the ports of every bridge. */
export function showPorts(
  ns: Namespace,
  options: { readonly details: boolean; readonly device: string | undefined },
): string {
  const lines: string[] = []
  for (const dev of ns.devices.values()) {
    const bridge = dev.master
    const port = bridge === undefined ? undefined : bridgeState(bridge).byDevice.get(dev)
    if (bridge === undefined || port === undefined) continue
    if (options.device !== undefined && dev.name !== options.device) continue
    lines.push(
      `${dev.ifindex}: ${dev.name}@${bridge.name}: ${flagsText(dev)} mtu ${dev.mtu} master ${bridge.name} state ${portState(dev)} priority 32 cost 2 `,
    )
    if (options.details) {
      lines.push(
        `    hairpin ${onOff(port.hairpin)} guard off root_block off fastleave off learning ${onOff(port.learning)} flood ${onOff(port.flood)} mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated ${onOff(port.isolated)} locked off `,
      )
    }
  }
  return lines.map((line) => `${line}\n`).join('')
}
