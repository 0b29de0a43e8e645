// Addresses as maps and programs take them.
import { type IpAddress, isIpv4, writeIpv4, writeIpv6 } from '../../net/address.ts'

/** Four or sixteen bytes in network order. */
export function addressBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(isIpv4(address) ? 4 : 16)
  if (isIpv4(address)) writeIpv4(bytes, 0, address)
  else writeIpv6(bytes, 0, address)
  return bytes
}
