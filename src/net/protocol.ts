// The numbers that say what comes next: EtherTypes (IEEE 802) and IP protocol numbers (IANA), with the names traces use.

export const etherType = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  mpls: 0x8847,
  qinq: 0x88a8,
  lldp: 0x88cc,
  /** transparent Ethernet bridging: the inner frame of Geneve and GRE */
  ethernet: 0x6558,
} as const

export const ipProtocol = {
  hopByHop: 0,
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  ah: 51,
  icmp6: 58,
  none: 59,
  destinationOptions: 60,
  sctp: 132,
} as const

/**
 * Bytes from the start of a transport header to its ports, for protocols that have some, or an SPI, which counts as both
 * (net/core/utils.c proto_ports_offset()).
 */
export const portsAt: ReadonlyMap<number, number> = new Map([
  [ipProtocol.tcp, 0],
  [ipProtocol.udp, 0],
  [33, 0], // DCCP
  [ipProtocol.esp, 0],
  [ipProtocol.ah, 4],
  [ipProtocol.sctp, 0],
  [136, 0], // UDP-Lite
])

/** UDP ports that make `dissect` look inside; 8472 is the port of Linux's vxlan module and of Cilium. */
export const tunnelPort = { vxlan: 4789, vxlanLinux: 8472, geneve: 6081, wireguard: 51_871 } as const

const etherTypeNames = new Map<number, string>([
  [etherType.ipv4, 'ipv4'],
  [etherType.arp, 'arp'],
  [etherType.vlan, 'vlan'],
  [etherType.ipv6, 'ipv6'],
  [etherType.mpls, 'mpls'],
  [etherType.qinq, 'qinq'],
  [etherType.lldp, 'lldp'],
  [etherType.ethernet, 'ethernet'],
])

const ipProtocolNames = new Map<number, string>([
  [ipProtocol.hopByHop, 'hop-by-hop'],
  [ipProtocol.icmp, 'icmp'],
  [ipProtocol.igmp, 'igmp'],
  [ipProtocol.ipip, 'ipip'],
  [ipProtocol.tcp, 'tcp'],
  [ipProtocol.udp, 'udp'],
  [ipProtocol.ipv6, 'ipv6'],
  [ipProtocol.routing, 'routing'],
  [ipProtocol.fragment, 'fragment'],
  [ipProtocol.gre, 'gre'],
  [ipProtocol.esp, 'esp'],
  [ipProtocol.ah, 'ah'],
  [ipProtocol.icmp6, 'icmp6'],
  [ipProtocol.none, 'none'],
  [ipProtocol.destinationOptions, 'destination-options'],
  [ipProtocol.sctp, 'sctp'],
])

/** The name of an EtherType, or its four hex digits. */
export function etherTypeName(type: number): string {
  return etherTypeNames.get(type) ?? `0x${type.toString(16).padStart(4, '0')}`
}

/** The name of an IP protocol, or its number. */
export function ipProtocolName(protocol: number): string {
  return ipProtocolNames.get(protocol) ?? `proto ${protocol}`
}

/** Whether an EtherType opens an 802.1Q or 802.1ad tag. */
export function isVlanType(type: number): boolean {
  return type === etherType.vlan || type === etherType.qinq
}
