// The identifier that Hubble gives each flow (pkg/hubble/monitor/consumer.go). There it is random (RFC 9562, version 4); here it
// is made of what names the flow, so that one run gives the same export every time.
import { hash32 } from '../../base/hash.ts'
import { uuid } from '../../base/uuid.ts'

/** The UUID for a name. */
export function flowUuid(name: string): string {
  return uuid((seed) => hash32(name, seed))
}
