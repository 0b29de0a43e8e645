// Everything a claim may look at. Made once per case, after (or, for state, during) its run.

import type { InstalledCilium } from '../../cilium/installed.ts'
import type { Value } from '../../model/claim.ts'
import type { IpAddress } from '../../net/address.ts'
import type { PacketTrace, Trace } from '../../trace/event.ts'

/** How a flow's calls ended; errno names as in the kernel. */
export interface FlowResult {
  readonly label: string
  readonly established: boolean
  readonly closed: boolean
  /** The errno of the first call that failed, by call: connect, bind, send, recv. */
  readonly errnos: ReadonlyMap<string, string>
  /** What IP_RECVERR gathered, oldest first. */
  readonly errorQueue: readonly { readonly errno: string; readonly offender: IpAddress | undefined }[]
  readonly peerName: { readonly address: IpAddress; readonly port: number } | undefined
  readonly localName: { readonly address: IpAddress; readonly port: number } | undefined
  readonly bytesReceived: number
}

/** State of the machine that claims may ask about; read when the claim's step is over. */
export interface StateView {
  /** A device's counter (`rx_packets`, `xdp_drops`); a namespace's SNMP counter when the device is undefined. */
  counter(
    at: { readonly node: string; readonly device: string | undefined },
    name: string,
  ): number | undefined
  /** The lines of a table (`neigh`, `route`, `fdb`, `socket`, `conntrack`, `rule`, `link`), as words. */
  table(node: string, table: string): readonly (readonly string[])[] | undefined
  /** A map's entry as numbers and bytes; undefined when there is no such map. */
  mapEntry(
    node: string,
    map: string,
    key: Value,
  ): { readonly value: Uint8Array | undefined; readonly text: string } | undefined
  /** How many entries a map has, or undefined. */
  mapSize(node: string, map: string): number | undefined
}

export interface ClaimContext {
  readonly trace: Trace
  readonly packets: ReadonlyMap<string, PacketTrace>
  readonly flows: ReadonlyMap<string, FlowResult>
  readonly state: StateView
  /** Where the cluster has Cilium. */
  readonly cilium: InstalledCilium | undefined
  /** Values captured by earlier claims, by variable. */
  readonly captured: Map<string, Value>
  /** The name bound to an address, or its text. */
  nameOf(address: IpAddress): string
}
