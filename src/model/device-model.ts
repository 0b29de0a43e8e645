// What the file or an agent says of pairs of netkit and of WireGuard devices.
import type { IpAddress } from '../net/address.ts'
import type { Prefix } from '../net/prefix.ts'

/** `ip link add type netkit`: the pair, as both ends have it. */
export interface NetkitModel {
  /** Whether this end is the primary one. */
  readonly primary: boolean
  readonly mode: 'l2' | 'l3'
  /** What an end does with what it sends while it has no program. */
  readonly policy: 'forward' | 'blackhole'
  readonly peerPolicy: 'forward' | 'blackhole'
  readonly scrub: 'default' | 'none'
  readonly peerScrub: 'default' | 'none'
}

/** What `wg` says of a device: only agents make one. */
export interface WireguardModel {
  readonly publicKey: string
  readonly port: number
  readonly fwmark: number
  readonly peers: readonly {
    readonly publicKey: string
    readonly endpoint: { readonly address: IpAddress; readonly port: number }
    readonly allowedIps: readonly Prefix[]
  }[]
}
