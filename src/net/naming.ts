// How addresses are written in texts. Traces pass their own naming (`client` for 10.0.1.10); everybody else gets numbers.
import { formatIp, type IpAddress, isIpv4 } from './address.ts'
import { formatMac, type Mac } from './mac.ts'

export interface Naming {
  readonly ip: (address: IpAddress) => string
  readonly mac: (mac: Mac) => string
}

/** Addresses as numbers. */
export const plainNaming: Naming = { ip: formatIp, mac: formatMac }

/** `10.0.0.1:80`, `[fd00::1]:80` or `web:80`: only a text with colons of its own needs brackets. */
export function endpointText(naming: Naming, address: IpAddress, port: number): string {
  const text = naming.ip(address)
  return !isIpv4(address) && text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
}
