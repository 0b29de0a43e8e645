// struct net_device: what every kind of device has. The kinds live beside this file, one file each.
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import type { TcHook } from '../tc/hook.ts'
import type { XdpAttachment } from '../xdp.ts'

export type DeviceKind =
  | 'loopback'
  | 'phys'
  | 'veth'
  | 'bridge'
  | 'vlan'
  | 'macvlan'
  | 'dummy'
  | 'vxlan'
  | 'geneve'
  | 'ipip'
  | 'netkit'

/** Counters as `ip -s link` and `ethtool -S` print them. */
export interface DeviceCounters {
  rx_packets: number
  rx_bytes: number
  rx_dropped: number
  tx_packets: number
  tx_bytes: number
  tx_dropped: number
  /** ethtool -S: xdp_packets, xdp_drops, xdp_tx, xdp_tx_errors, xdp_redirect, tx_queue_0_xdp_xmit, rx_queue_0_drops ... */
  readonly ethtool: Map<string, number>
}

/** The device's own work: what differs between kinds. */
export interface DeviceOps {
  /** ndo_start_xmit: the frame has passed tc egress and the taps. `skb.data` stands at the MAC header. */
  readonly transmit: (dev: NetDevice, skb: Skb) => void
  /**
   * ndo_xdp_xmit: a raw frame sent by XDP_TX or XDP_REDIRECT, without tc egress, taps or netfilter. False when the
   * device refuses it (the caller counts the loss).
   */
  readonly xdpTransmit?: (dev: NetDevice, skb: Skb) => boolean
  /** rx_handler of a lower device's master (bridge, macvlan): true when it took the packet. */
  readonly receive?: (port: NetDevice, skb: Skb) => boolean
}

/** An AF_PACKET socket or a marker bound to a device; sees frames but never changes them. */
export type Tap = (dev: NetDevice, skb: Skb, direction: 'in' | 'out') => void

export interface NetDevice {
  readonly ns: Namespace
  readonly name: string
  readonly kind: DeviceKind
  /** Unique in its namespace, from 1 (lo) on. */
  readonly ifindex: number
  /** 48-bit number. */
  mac: number
  mtu: number
  /** IFF_UP, as an administrator set it. */
  up: boolean
  /** False when there is no carrier (veth peer down, cable unplugged). */
  carrier: boolean
  promiscuous: boolean
  /** ARP and neighbour resolution are used on this device (not lo, not IFF_NOARP). */
  readonly arp: boolean
  readonly ops: DeviceOps
  readonly counters: DeviceCounters
  /** The other end of a veth or netkit pair. */
  peer: NetDevice | undefined
  /** The bridge (or macvlan parent's user) this device is a port of. */
  master: NetDevice | undefined
  xdp: XdpAttachment | undefined
  /** tcx and clsact programs; undefined until something is attached. */
  tcIngress: TcHook | undefined
  tcEgress: TcHook | undefined
  readonly taps: Tap[]
  /** vlan devices on top of this one, by VLAN id. */
  vlans: Map<number, NetDevice> | undefined
  /** State of the kind: bridge FDB, veth NAPI, vxlan FDB ... read by the kind's own file only. */
  readonly private: unknown
  /** Kernel-visible features a person can set: GRO, TSO, tx checksum. */
  readonly features: Map<string, boolean>
}
