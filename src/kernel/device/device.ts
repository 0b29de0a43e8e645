// struct net_device: what every kind of device has. The kinds live beside this file, one file each.
import type { Namespace } from '../namespace.ts'
import type { PollQueue } from '../napi.ts'
import type { Skb } from '../skb.ts'
import type { TcHook } from '../tc/hook.ts'
import type { RootQdisc } from '../tc/qdisc.ts'
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
  | 'wireguard'

/** Counters as `ip -s link` and `ethtool -S` print them. */
export interface DeviceCounters {
  rx_packets: number
  rx_bytes: number
  rx_errors: number
  rx_dropped: number
  tx_packets: number
  tx_bytes: number
  tx_errors: number
  tx_dropped: number
  /** ethtool -S: xdp_packets, xdp_drops, xdp_tx, xdp_tx_errors, xdp_redirect, tx_queue_0_xdp_xmit, rx_queue_0_drops ... */
  readonly ethtool: Map<string, number>
}

/** What a transmission answers to the one who sent (include/linux/netdevice.h NET_XMIT_*, or a negative errno). */
export const transmitted = 0
/** NET_XMIT_DROP: net_xmit_errno() makes ENOBUFS of it. */
export const transmitDropped = 1
/** NET_XMIT_CN: lost in a queue; counts as success for the sender. */
export const transmitCongested = 2
/** -ENETDOWN: a redirect or a socket of AF_PACKET meets a device that is down, or too many transmissions inside one another. */
export const transmitDown = -100

/** The device's own work: what differs between kinds. */
export interface DeviceOps {
  /**
   * ndo_start_xmit: the frame has passed tc egress and the taps. `skb.data` stands at the MAC header. Answers
   * `transmitted`, `transmitDropped` or whatever a lower device answered.
   */
  readonly transmit: (dev: NetDevice, skb: Skb) => number
  /** NETDEV_XDP_ACT_NDO_XMIT: whether native XDP may send frames out of this device at the moment. */
  readonly xdpTarget?: (dev: NetDevice) => boolean
  /**
   * ndo_xdp_xmit: a raw frame sent by native XDP_TX or XDP_REDIRECT, without tc egress, taps or netfilter. False when
   * the device refuses it (the caller counts the loss).
   */
  readonly xdpTransmit?: (dev: NetDevice, skb: Skb) => boolean
  /** ndo_set_mac_address, ndo_open, ndo_stop, ndo_change_mtu have happened: the kind adapts its own tables. */
  readonly changed?: (dev: NetDevice, what: DeviceChange) => void
}

/** What a notifier is told (netdev_chain: NETDEV_UP, NETDEV_DOWN, NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_CHANGEMTU, NETDEV_UNREGISTER). */
export type DeviceChange = 'up' | 'down' | 'carrier' | 'mac' | 'mtu' | 'address' | 'gone'

/** A function that wants to know of every change of every device (routes vanish with a device). */
export type DeviceNotifier = (dev: NetDevice, change: DeviceChange) => void

/**
 * rx_handler of a port: the bridge or the macvlans above it. `passed`: go on with the protocols of this device;
 * `consumed`: the handler has the packet; `another`: `skb.dev` was changed, go round again for that device.
 */
type ReceiveHandler = (port: NetDevice, skb: Skb) => 'passed' | 'consumed' | 'another'

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
  /** Virtual time of the last change of carrier: linkwatch stops the queues about a second later. */
  carrierChanged: number
  promiscuous: boolean
  /** ARP and neighbour resolution are used on this device (not lo, not IFF_NOARP). */
  arp: boolean
  /** hard_header_len (bytes): 14 for Ethernet, 0 where packets have no link-layer header (ipip). */
  readonly headerBytes: number
  /** The device wraps packets into others; what it did stands at the stages `xmit` and `decap`. */
  readonly tunnel: boolean
  /** Largest MTU that may be set (bytes), where the kind has a limit of its own. */
  readonly mtuMax: number | undefined
  readonly ops: DeviceOps
  readonly counters: DeviceCounters
  /** The other end of a veth or netkit pair. */
  peer: NetDevice | undefined
  /** The bridge this device is a port of. */
  master: NetDevice | undefined
  rxHandler: ReceiveHandler | undefined
  /** The device below a vlan or macvlan. */
  readonly lower: NetDevice | undefined
  xdp: XdpAttachment | undefined
  /** tcx and clsact programs; undefined until something is attached. */
  tcIngress: TcHook | undefined
  tcEgress: TcHook | undefined
  /** The root queueing discipline that keeps packets (`tc qdisc`); undefined: they are sent at once. */
  qdisc: RootQdisc | undefined
  /** Packets that wait for the next poll; only with GRO. */
  pollQueue: PollQueue | undefined
  readonly taps: Tap[]
  /** vlan devices on top of this one, by VLAN id. */
  vlans: Map<number, NetDevice> | undefined
  /** macvlan devices on top of this one, by MAC address. */
  macvlans: Map<number, NetDevice> | undefined
  /** State of the kind: bridge FDB, veth NAPI, vxlan FDB ... read by the kind's own file only. */
  readonly private: unknown
  /** What `ethtool -K` switches: whether the device takes large TCP packets as they are, and merges what it receives. */
  readonly offloads: { tso: boolean; gro: boolean }
}
