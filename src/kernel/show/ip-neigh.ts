// `ip neigh` and `arp -n`. The kernel lists neighbours by hash bucket, which nobody can rely on; here they stand by device
// and address.
import { formatIp } from '../../net/address.ts'
import { formatMac, macFrom } from '../../net/mac.ts'
import { listNeighbours } from '../ip/list.ts'
import { familyState } from '../ip/state.ts'
import type { Namespace } from '../namespace.ts'
import { tellsAddress } from '../neighbour-entry.ts'

export interface NeighbourOptions {
  /** undefined: IPv4, then IPv6. */
  readonly family: 4 | 6 | undefined
  readonly device: string | undefined
  /** `ip neigh show proxy`. */
  readonly proxies: boolean
}

/** `ip neigh show [dev DEV]`. */
export function showNeighbours(ns: Namespace, options: NeighbourOptions): string {
  const families = options.family === undefined ? ([4, 6] as const) : [options.family]
  if (options.proxies) return families.map((family) => showProxies(ns, family, options.device)).join('')
  return families
    .flatMap((family) => listNeighbours(ns, family))
    .filter(({ state }) => state !== 'NONE')
    .filter(({ device }) => options.device === undefined || device.name === options.device)
    .map((each) => {
      const device = options.device === undefined ? `dev ${each.device.name} ` : ''
      const mac = tellsAddress(each) ? `lladdr ${formatMac(macFrom(each.mac))} ` : ''
      return `${formatIp(each.address)} ${device}${mac}${each.router ? 'router ' : ''}${each.state} \n`
    })
    .join('')
}

function showProxies(ns: Namespace, family: 4 | 6, device: string | undefined): string {
  return [...familyState(ns, family).neighbours.proxies.values()]
    .filter((each) => device === undefined || each.device?.name === device)
    .map((each) => {
      const on = each.device === undefined || device !== undefined ? '' : `dev ${each.device.name} `
      return `${formatIp(each.address)} ${on}proxy \n`
    })
    .join('')
}

/** One row of `arp`: ARP knows complete entries, permanent ones and those it answers for. */
interface ArpRow {
  readonly address: string
  readonly type: string
  readonly mac: string
  readonly flags: string
  readonly device: string
}

function arpRows(ns: Namespace, device: string | undefined): readonly ArpRow[] {
  const known = listNeighbours(ns, 4)
    .filter(({ state }) => state !== 'NONE')
    .map((each): ArpRow => {
      const complete = tellsAddress(each)
      return {
        address: formatIp(each.address),
        type: complete ? 'ether' : '',
        mac: complete ? formatMac(macFrom(each.mac)) : '(incomplete)',
        flags: complete ? `C${each.state === 'PERMANENT' ? 'M' : ''}` : '',
        device: each.device.name,
      }
    })
  const proxies = [...familyState(ns, 4).neighbours.proxies.values()].map(
    (each): ArpRow => ({
      address: formatIp(each.address),
      type: '*',
      mac: '<from_interface>',
      flags: 'MP',
      device: each.device?.name ?? '*',
    }),
  )
  return [...known, ...proxies].filter((row) => device === undefined || row.device === device)
}

/** `arp -n [-i DEV]`, as net-tools 2.10 prints it; nothing at all for an empty table. */
export function showArp(ns: Namespace, device: string | undefined): string {
  const rows = arpRows(ns, device)
  if (rows.length === 0) return ''
  const heading = 'Address                  HWtype  HWaddress           Flags Mask            Iface\n'
  return (
    heading +
    rows
      .map(({ address, type, mac, flags, device: iface }) =>
        type === ''
          ? `${address.padEnd(25)}${''.padEnd(8)}${mac.padEnd(20)}${''.padEnd(6)}${''.padEnd(16)}${iface}\n`
          : `${address.padEnd(25)}${type.padEnd(8)}${mac.padEnd(20)}${flags.padEnd(6)}${''.padEnd(16)}${iface}\n`,
      )
      .join('')
  )
}

/** `arp -an`, in the words of BSD. */
export function showArpAll(ns: Namespace, device: string | undefined): string {
  return arpRows(ns, device)
    .map((row) => {
      const permanent = row.flags.includes('M') ? ' PERM' : ''
      if (row.type === '') return `? (${row.address}) at <incomplete> on ${row.device}\n`
      if (row.type === '*') return `? (${row.address}) at <from_interface> PERM PUB on ${row.device}\n`
      return `? (${row.address}) at ${row.mac} [ether]${permanent} on ${row.device}\n`
    })
    .join('')
}
