// A packet header by header, one line each: the long view beside the one line of summarise.ts.
//
//   eth 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4
//   ip 10.1.0.50 > 10.2.0.2 tcp ttl 64
//   tcp 4000 > 80 S seq 0 ack 0 win 65535
//   payload 5 bytes
import { decodeArp, describeArp } from './arp.ts'
import { readU8 } from './bytes.ts'
import { decodeEsp, describeEsp } from './esp.ts'
import { decodeEthernet, describeEthernet } from './ethernet.ts'
import { decodeGeneve, describeGeneve } from './geneve.ts'
import { decodeIcmp, describeIcmp } from './icmp.ts'
import { decodeIcmpv6, describeIcmpv6, isNeighbourDiscovery } from './icmpv6.ts'
import { decodeIpv4, describeIpv4 } from './ipv4.ts'
import { decodeIpv6, describeIpv6 } from './ipv6.ts'
import { decodeExtension, describeExtension } from './ipv6-extensions.ts'
import type { Dissection, Layer, LayerKind } from './layer.ts'
import { isMalformed, type Malformed } from './malformed.ts'
import { type Naming, plainNaming } from './naming.ts'
import { decodeNd, describeNd } from './nd.ts'
import { decodeSctp, describeSctp } from './sctp.ts'
import { decodeTcp, describeTcp } from './tcp.ts'
import { decodeUdp, describeUdp } from './udp.ts'
import { decodeVlan, describeVlan } from './vlan.ts'
import { decodeVxlan, describeVxlan } from './vxlan.ts'
import { decodeWireguard, describeWireguard } from './wireguard.ts'

type Describe = (bytes: Uint8Array, layer: Layer, naming: Naming) => string

/** The describer of one protocol from its two halves. */
function describing<T extends object>(
  decode: (bytes: Uint8Array, offset: number, end: number) => T | Malformed,
  describe: (header: T, naming: Naming) => string,
): Describe {
  return (bytes, { start, end }, naming) => {
    const header = decode(bytes, start, end)
    return isMalformed(header) ? header.malformed : describe(header, naming)
  }
}

const icmpv6 = describing(decodeIcmpv6, describeIcmpv6)
const neighbourDiscovery = describing(decodeNd, describeNd)

const describers: Readonly<Record<LayerKind, Describe>> = {
  eth: describing(decodeEthernet, describeEthernet),
  vlan: describing(decodeVlan, describeVlan),
  arp: describing(decodeArp, describeArp),
  ip: describing(decodeIpv4, describeIpv4),
  ip6: describing(decodeIpv6, describeIpv6),
  ext: (bytes, { start, end, protocol }) => {
    const header = decodeExtension(bytes, start, end, protocol)
    return isMalformed(header) ? header.malformed : describeExtension(header, protocol)
  },
  tcp: describing(decodeTcp, describeTcp),
  udp: describing(decodeUdp, describeUdp),
  sctp: describing(decodeSctp, describeSctp),
  icmp: describing(decodeIcmp, describeIcmp),
  icmp6: (bytes, layer, naming) => {
    const describe = isNeighbourDiscovery(readU8(bytes, layer.start)) ? neighbourDiscovery : icmpv6
    return describe(bytes, layer, naming)
  },
  vxlan: describing(decodeVxlan, describeVxlan),
  geneve: describing(decodeGeneve, describeGeneve),
  wireguard: describing(decodeWireguard, describeWireguard),
  esp: describing(decodeEsp, describeEsp),
}

/** One line per header, then the payload's length, then what is malformed. */
export function describeLayers(dissection: Dissection, naming: Naming = plainNaming): readonly string[] {
  const { bytes, layers, payload, malformed } = dissection
  const lines = layers.map((layer) => describers[layer.kind](bytes, layer, naming))
  if (payload.end > payload.start) lines.push(`payload ${payload.end - payload.start} bytes`)
  if (malformed !== undefined) lines.push(`malformed at byte ${malformed.offset}: ${malformed.reason}`)
  return lines
}
