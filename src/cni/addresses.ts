// Addresses that plugins take out of a node's range.
import { type Ipv4, ipv4From } from '../net/address.ts'
import { type Prefix, prefixOf } from '../net/prefix.ts'

/** The n-th address of an IPv4 range; 0 is the address of the range itself. */
export function nthAddress(range: Prefix, index: number): Ipv4 {
  return ipv4From((range.address as number) + index)
}

/** One host as a prefix. */
export function hostPrefix(address: Ipv4): Prefix {
  return prefixOf(address, 32)
}
