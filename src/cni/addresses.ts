// Addresses that plugins take out of a node's range.
import { type IpAddress, ipv4From, isIpv4 } from '../net/address.ts'
import { type Prefix, prefixOf } from '../net/prefix.ts'

/** The n-th address of a range; 0 is the address of the range itself. */
export function nthAddress({ address }: Prefix, index: number): IpAddress {
  if (isIpv4(address)) return ipv4From(address + index)
  const [first, second, third, last] = address
  return [first, second, third, last + index]
}

/** Everywhere, in the family of an address. */
export function everywhere(address: IpAddress): Prefix {
  return isIpv4(address) ? prefixOf(ipv4From(0), 0) : prefixOf([0, 0, 0, 0], 0)
}
