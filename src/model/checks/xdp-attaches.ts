// Native XDP needs a device that can run it: what the kernel refuses when a program is attached is said before.
import type { Report } from '../../base/diagnostic.ts'
import { mistake } from '../diagnose.ts'
import { modeOf } from '../resolve/device.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { integerOf } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'

/** One page less 256 bytes of headroom, 14 of Ethernet and 320 of struct skb_shared_info (veth_xdp_set). */
const mtuMax = 3506

/** Every XDP program that is not generic. */
export function xdpAttaches({ entities }: WorldDraft, report: Report): void {
  for (const host of entities.hosts.values()) {
    for (const device of host.devices.values()) {
      const item = device.syntax?.attachments.find((each) => each.hook === 'xdp')
      if (item === undefined || (modeOf(item) ?? 'native') !== 'native') continue
      if (device.kind === 'veth') {
        const peer =
          device.peer === undefined
            ? undefined
            : entities.hosts.get(device.peer.host)?.devices.get(device.peer.device)
        if (mtuOf(peer) <= mtuMax) continue
        report(
          mistake('S110', item.span, `native XDP here limits the other end to an MTU of ${mtuMax} (ERANGE)`, {
            hint: 'lower the MTU there, or write `xdp generic`',
          }),
        )
      } else if (device.kind !== 'phys' && device.kind !== 'unknown' && device.kind !== 'unavailable') {
        report(
          mistake('S110', item.span, `a ${device.kind} device has no native XDP (EOPNOTSUPP)`, {
            hint: 'write `xdp generic`',
          }),
        )
      }
    }
  }
}

function mtuOf(device: DeviceDraft | undefined): number {
  const word = device === undefined ? undefined : optionValue(device.options, 'mtu')
  return word === undefined ? 0 : (integerOf(word.text) ?? 0)
}
