// What a VXLAN device keeps: the words of `ip -d link` and its forwarding database.
import type { IpAddress } from '../../net/address.ts'
import type { NetDevice } from './device.ts'
import type { PortRange } from './tunnel-udp.ts'
import type { VxlanFdb } from './vxlan-fdb.ts'

/** The configuration, as iproute2 names it. Absent words have the kernel's defaults (iproute2's for the port). */
export interface VxlanConfig {
  /** 0 with `external`. */
  readonly vni: number
  readonly remote?: IpAddress
  readonly local?: IpAddress
  /** UDP port, 8472 without one. */
  readonly dstport?: number
  readonly srcport?: PortRange
  /** collect_md: each packet says by its tunnel key where it goes. */
  readonly external?: boolean
  /** Off with `nolearning`. */
  readonly learning?: boolean
  /** 0 or absent: the host's default. */
  readonly ttl?: number | 'inherit'
  readonly tos?: number | 'inherit'
  readonly df?: 'unset' | 'set' | 'inherit'
  /** Off with `noudpcsum`, which speaks of IPv4 alone. */
  readonly udpcsum?: boolean
  /** ARP is answered from the neighbour table instead of being sent. */
  readonly proxy?: boolean
}

export interface VxlanState {
  readonly vni: number
  readonly remote: IpAddress | undefined
  readonly local: IpAddress | undefined
  readonly dstport: number
  readonly srcport: PortRange
  readonly external: boolean
  readonly learning: boolean
  readonly ttl: number | 'inherit'
  readonly tos: number | 'inherit'
  readonly df: 'unset' | 'set' | 'inherit'
  readonly udpcsum: boolean
  readonly proxy: boolean
  /** Of the underlay: by `local` and `remote`; `external` devices speak both. */
  readonly families: readonly (4 | 6)[]
  readonly fdb: VxlanFdb
}

/** The state of a VXLAN device. */
export function vxlanState(dev: NetDevice): VxlanState {
  return dev.private as VxlanState
}
