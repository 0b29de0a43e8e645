// Addresses of keys and values as text.
import { formatIpv4, formatIpv6, readIpv4, readIpv6 } from '../../net/address.ts'
import type { Address } from '../datapath/family.ts'

/** `10.0.1.10`, `fd00::1`. */
export function addressText(address: Address): string {
  return address.length === 4 ? formatIpv4(readIpv4(address, 0)) : formatIpv6(readIpv6(address, 0))
}

/** `10.0.1.10:80`, `[fd00::1]:80`. */
export function endText(address: Address, port: number): string {
  return address.length === 4 ? `${addressText(address)}:${port}` : `[${addressText(address)}]:${port}`
}
