// What one hook did to a packet, as values: the difference of two snapshots. Expectations and texts are made from these.
import type { IpAddress } from '../../net/address.ts'
import type { Ipv4Option } from '../../net/ipv4-options.ts'
import type { Mac } from '../../net/mac.ts'
import type { TunnelKind } from './layers.ts'

/** One end of a flow; `port` is -1 where the protocol has none. */
export interface Endpoint {
  readonly address: IpAddress
  readonly port: number
}

export type Change =
  /** The destination became another. Whether that undoes an earlier `snat` is for the reader of the whole trace. */
  | { readonly kind: 'dnat'; readonly before: Endpoint; readonly after: Endpoint }
  | { readonly kind: 'snat'; readonly before: Endpoint; readonly after: Endpoint }
  /** Source and destination changed places. */
  | {
      readonly kind: 'swap'
      readonly before: Endpoint
      readonly after: Endpoint
      readonly layers: readonly string[]
    }
  | { readonly kind: 'ttl'; readonly before: number; readonly after: number }
  /** Any other header field; values as they are printed. */
  | { readonly kind: 'field'; readonly field: string; readonly before: string; readonly after: string }
  | { readonly kind: 'mac'; readonly side: 'src' | 'dst'; readonly before: Mac; readonly after: Mac }
  | { readonly kind: 'mark'; readonly before: number; readonly after: number }
  | { readonly kind: 'vlan'; readonly action: 'push' | 'pop'; readonly tci: number }
  | { readonly kind: 'vlan-set'; readonly before: number; readonly after: number }
  | { readonly kind: 'option'; readonly action: 'add' | 'remove'; readonly option: Ipv4Option }
  | {
      readonly kind: 'tunnel'
      readonly action: 'push' | 'pop'
      readonly tunnel: TunnelKind
      /** -1 where there is none; of ESP the SPI. */
      readonly vni: number
      readonly source: IpAddress
      readonly destination: IpAddress
    }
  /** A program said where a metadata tunnel device sends the packet. */
  | { readonly kind: 'tunnel-key'; readonly remote: IpAddress }
  /** Bytes behind the last header: their number, or their content at the same number. */
  | { readonly kind: 'payload'; readonly beforeBytes: number; readonly afterBytes: number }
  | { readonly kind: 'meta'; readonly beforeBytes: number; readonly afterBytes: number }
  /** A packet that is another packet now: nothing in it can be compared. */
  | { readonly kind: 'packet'; readonly before: string; readonly after: string }
