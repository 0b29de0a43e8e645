// The identifier that Hubble gives each flow (pkg/hubble/monitor/consumer.go). There it is random (RFC 9562, version 4); here it
// is made of what names the flow, so that one run gives the same export every time.
import { hash32 } from '../../base/hash.ts'

/** A version 4 UUID for a name. */
export function flowUuid(name: string): string {
  const hex = [0, 1, 2, 3].map((seed) => hash32(name, seed).toString(16).padStart(8, '0')).join('')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}
