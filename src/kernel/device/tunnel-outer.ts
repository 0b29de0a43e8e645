// The outer headers of a packet that a tunnel device takes in: read, remembered for programs, taken off.
import type { TunnelKey } from '../../bpf/contract.ts'
import { type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8, readU16 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { udpAt } from '../../net/udp.ts'
import { forgetHashWithoutPorts } from '../flow-hash.ts'
import type { Skb } from '../skb.ts'
import { scrub } from './crossing.ts'
import type { NetDevice } from './device.ts'
import { keyFlag } from './tunnel-key.ts'

/** What the outer headers say. */
export interface Outer {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly tos: number
  readonly ttl: number
  readonly checksummed: boolean
}

/** What the outer headers say; `skb.networkHeader` at the IP header, `skb.data` at the UDP header. */
export function readOuter(skb: Skb, family: 4 | 6): Outer {
  const { bytes, networkHeader: l3 } = skb
  const checksummed = readU16(bytes, skb.data + udpAt.checksum) !== 0
  if (family === 4) {
    return {
      source: readIpv4(bytes, l3 + ipv4At.source),
      destination: readIpv4(bytes, l3 + ipv4At.destination),
      tos: readU8(bytes, l3 + ipv4At.tos),
      ttl: readU8(bytes, l3 + ipv4At.ttl),
      checksummed,
    }
  }
  return {
    source: readIpv6(bytes, l3 + ipv6At.source),
    destination: readIpv6(bytes, l3 + ipv6At.destination),
    tos: ipv6TrafficClass(bytes, l3),
    ttl: readU8(bytes, l3 + ipv6At.hopLimit),
    checksummed,
  }
}

function keyAddress(address: IpAddress): TunnelKey['remote'] {
  if (isIpv4(address)) return address
  const [a = 0, b = 0, c = 0, d = 0] = address
  return [a, b, c, d]
}

/** udp_tun_rx_dst(): the metadata of a packet that an `external` device received. */
export function receivedKey(outer: Outer, vni: number, options?: Uint8Array): TunnelKey {
  return {
    id: vni,
    remote: keyAddress(outer.source),
    local: keyAddress(outer.destination),
    tos: outer.tos,
    ttl: outer.ttl,
    flags: outer.checksummed ? 0 : keyFlag.zeroChecksum,
    received: true,
    ...(options === undefined ? {} : { options }),
  }
}

/** Takes the outer headers off: `data` goes to `inner`; what the outer packet carried along is forgotten. */
export function pullOuter(skb: Skb, inner: number, end: number): void {
  skb.data = inner
  skb.tail = end
  skb.macHeader = -1
  skb.vlanTci = -1
  skb.queueMapping = 0
  forgetHashWithoutPorts(skb)
  scrub(skb)
}

/** The event of the outer packet's end; its place reads `udp PORT`. Must be noted while the outer headers stand. */
export function noteDecap(dev: NetDevice, skb: Skb): void {
  const site = { node: dev.ns.name, device: dev.name, stage: 'decap' } as const
  dev.ns.machine.trace?.note(skb, site, { actor: 'kernel', decision: { code: 'DECAP' } })
}
