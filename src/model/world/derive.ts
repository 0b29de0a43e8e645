// What the file does not say is derived from names, so that an unrelated edit changes nothing.
import { hash32 } from '../../base/hash.ts'
import type { Mac } from '../../net/mac.ts'
import { macFrom } from '../../net/mac.ts'

/**
 * The MAC address of a device: locally administered (`02:...`) and a function of `NAMESPACE/DEVICE` alone.
 * `taken` holds the addresses in use; the rare second device with the same hash gets the next free one.
 */
export function deriveMac(place: string, taken: Set<number>): Mac {
  const low = hash32(place, 0)
  const high = hash32(place, 0x9e37_79b9) & 0xff
  let mac = 0x0200_0000_0000 + high * 0x1_0000_0000 + low
  while (taken.has(mac)) mac = mac === 0x02ff_ffff_ffff ? 0x0200_0000_0000 : mac + 1
  taken.add(mac)
  return macFrom(mac)
}

/** A port for the client of a flow that names none: in the ephemeral range of Linux, a function of the label alone. */
export function derivePort(label: string): number {
  return 32768 + (hash32(label, 0x7f4a_7c15) % (60999 - 32768 + 1))
}
