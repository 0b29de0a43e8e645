// MAC addresses that Linux takes from another device: a vlan device has its lower device's (net/8021q, vlan_dev_init), as
// has a macvlan in passthru mode (macvlan_common_newlink), a
// bridge the lowest of its ports' (br_stp_recalculate_bridge_id), unless one is given.
import type { Mac } from '../../net/mac.ts'
import { optionValue } from '../words/options.ts'
import type { DeviceDraft, HostDraft } from './entities.ts'

/** Puts inherited addresses in place of derived ones. */
export function inheritMacs(hosts: ReadonlyMap<string, HostDraft>): void {
  for (const host of hosts.values()) {
    for (const kind of ['vlan', 'bridge', 'vlan'] as const) {
      for (const device of host.devices.values()) {
        const lower = device.kind === 'vlan' || isPassthru(device)
        if ((lower ? 'vlan' : device.kind) !== kind || optionValue(device.options, 'mac') !== undefined)
          continue
        const mac = kind === 'vlan' ? lowerMac(device, host) : portMac(device, host)
        if (mac !== undefined) host.devices.set(device.name, { ...device, mac })
      }
    }
  }
}

function isPassthru({ kind, options }: DeviceDraft): boolean {
  return kind === 'macvlan' && optionValue(options, 'mode')?.text === 'passthru'
}

function lowerMac(device: DeviceDraft, host: HostDraft): Mac | undefined {
  const lower = optionValue(device.options, 'dev')
  return lower === undefined ? undefined : host.devices.get(lower.text)?.mac
}

function portMac(bridge: DeviceDraft, host: HostDraft): Mac | undefined {
  let lowest: Mac | undefined
  for (const device of host.devices.values()) {
    if (optionValue(device.options, 'master')?.text !== bridge.name) continue
    if (lowest === undefined || device.mac < lowest) lowest = device.mac
  }
  return lowest
}
