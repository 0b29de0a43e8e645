// Which headers of a packet the agent's decoder finds, gopacket with the layers that `cilium monitor` and Hubble give it: Ethernet,
// IP and transport. It stops at VLAN tags, at every fragment, the first as well, and at extension headers of IPv6 but for options
// hop by hop (gopacket layers/ip4.go, ip6.go NextLayerType(); pkg/monitor/dissect.go initParser()).
import { readU8 } from '../../net/bytes.ts'
import { ipv4IsFragment } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Layers } from '../../trace/effects/layers.ts'
import { protocolNumber } from '../datapath/family.ts'
import type { Era } from './notification.ts'

const hopByHop = 0

function findsTransport({ bytes, family, l3, protocol }: Layers, era: Era): boolean {
  if (protocol === protocolNumber.SCTP && era === '1.10') return false
  if (family === 4) return !ipv4IsFragment(bytes, l3)
  const next = readU8(bytes, l3 + ipv6At.nextHeader)
  return (next === hopByHop ? readU8(bytes, l3 + ipv6At.payload) : next) === protocol
}

/** The packet without the headers that are not found. */
export function decodedLayers(layers: Layers, era: Era): Layers {
  if (layers.tags.length > 0) return { ...layers, family: 0, l4: -1 }
  if (layers.l4 < 0 || findsTransport(layers, era)) return layers
  return { ...layers, l4: -1 }
}
