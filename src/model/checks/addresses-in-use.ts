// An address belongs to one device of a wire, and to one device of a namespace.
import type { Report } from '../../base/diagnostic.ts'
import { isIpv4, isLinkLocal } from '../../net/address.ts'
import { mistakeIn } from '../diagnose.ts'
import type { WorldDraft } from '../resolve/world.ts'
import type { AddressDraft, DeviceDraft } from '../world/entities.ts'

/** Two devices with one address on the same net, the same veth pair or in the same namespace. */
export function addressesInUse({ entities }: WorldDraft, report: Report): void {
  const known = new Map<string, { readonly device: DeviceDraft; readonly address: AddressDraft }>()
  for (const host of entities.hosts.values()) {
    for (const device of host.devices.values()) {
      for (const address of device.addresses) {
        if (isLinkLocal(address.prefix.address)) continue
        const text = String(address.prefix.address)
        const places = [`host ${host.name} ${text}`, `${wireOf(device)} ${text}`]
        const first = places.map((place) => known.get(place)).find((found) => found !== undefined)
        for (const place of places) known.set(place, { device, address })
        if (first === undefined) continue
        if (isAlias(device, address, first)) continue
        if (first.device !== device) clash(device, address, first, report)
        else if (!isIpv4(address.prefix.address) || first.address.prefix.length === address.prefix.length)
          report(
            mistakeIn('S106', address.word, `\`${address.word.text}\` is in use already`, {
              hint: `${device.host}/${device.name} has it twice; one of them must go`,
              notes: [{ message: 'the first one is here', span: first.address.word.span }],
            }),
          )
      }
    }
  }
}

/** A host may have an address on a second device that says nothing of a net, as Cilium 1.10 gives it to cilium_host. */
function isAlias(
  device: DeviceDraft,
  { prefix }: AddressDraft,
  first: { readonly device: DeviceDraft },
): boolean {
  const other = first.device !== device && first.device.host === device.host
  return other && prefix.length === (isIpv4(prefix.address) ? 32 : 128)
}

function wireOf(device: DeviceDraft): string {
  if (device.net !== undefined) return `net ${device.net}`
  const own = `${device.host}/${device.name}`
  if (device.peer === undefined) return `device ${own}`
  const other = `${device.peer.host}/${device.peer.device}`
  return own < other ? `veth ${own} ${other}` : `veth ${other} ${own}`
}

function clash(
  device: DeviceDraft,
  { word }: AddressDraft,
  first: { readonly device: DeviceDraft; readonly address: AddressDraft },
  report: Report,
): void {
  const owner = `${first.device.host}/${first.device.name}`
  report(
    mistakeIn('S106', word, `\`${word.text}\` is in use already`, {
      hint: `${owner} has it; give \`${device.host}/${device.name}\` another address`,
      notes: [{ message: `\`${owner}\` has it here`, span: first.address.word.span }],
    }),
  )
}
