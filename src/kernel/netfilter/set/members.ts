// Membership: what a packet is to a set (`src,dst` flags), and whether it is in it (ip_set_hash_*.c, ip_set_list_set.c).
import { type IpAddress, isIpv4, readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU16 } from '../../../net/bytes.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { readMac } from '../../../net/mac.ts'
import { hasPorts, isIcmp } from '../../conntrack/tuple.ts'
import type { ChainPacket } from '../extension.ts'
import { portAt } from '../header-match.ts'
import { maskAddress, prefixMask } from '../values.ts'
import type { IpSet, SetMember, SetTable } from './set-table.ts'

/** For each dimension whether it is the packet's source. */
export type Directions = readonly boolean[]

function addressKey(address: IpAddress | undefined): string {
  if (address === undefined) return ''
  return isIpv4(address) ? address.toString(36) : address.map((word) => word.toString(36)).join('.')
}

/** The key of a member: every field that its type has. */
export function memberKey(member: SetMember): string {
  const { address, length, protocol, port, second, secondLength, mac, set } = member
  return `${addressKey(address)}/${length ?? ''},${protocol ?? ''}:${port ?? ''},${addressKey(second)}/${secondLength ?? ''},${mac ?? ''},${set ?? ''}`
}

/** Puts a member into a set; one that is there is replaced. */
export function addMember(set: IpSet, member: SetMember): void {
  set.members.set(memberKey(member), member)
  const length = set.type.startsWith('hash:net') ? member.length : member.secondLength
  if (length !== undefined) set.lengths.add(length)
}

function addressAt({ skb, l3, family }: ChainPacket, source: boolean): IpAddress {
  const side = source ? 'source' : 'destination'
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

/** ip_set_get_ip_port(): undefined for fragments and protocols without ports. */
function portOf(packet: ChainPacket, source: boolean): number | undefined {
  if (packet.fragmentOffset !== 0) return undefined
  if (hasPorts(packet.protocol)) return portAt(packet, source ? 'source' : 'destination')
  return isIcmp(packet.protocol) ? readU16(packet.skb.bytes, packet.l4) : undefined
}

const fullLength = (family: 4 | 6): number => (family === 4 ? 32 : 128)

/** The member that a packet would be, every address with its full length. */
export function memberOf(set: IpSet, packet: ChainPacket, directions: Directions): SetMember | undefined {
  const [first = true, second = true, third = true] = directions
  const full = fullLength(set.family)
  switch (set.type) {
    case 'hash:ip':
    case 'bitmap:ip':
      return { address: addressAt(packet, first) }
    case 'hash:net':
      return { address: addressAt(packet, first), length: full }
    case 'hash:mac': {
      const { skb } = packet
      return skb.macHeader < 0 ? undefined : { mac: readMac(skb.bytes, skb.macHeader + (first ? 6 : 0)) }
    }
    case 'bitmap:port': {
      const port = portOf(packet, first)
      return port === undefined ? undefined : { port }
    }
    case 'list:set':
      return undefined
    default: {
      const port = portOf(packet, second)
      if (port === undefined) return undefined
      const base = { address: addressAt(packet, first), protocol: packet.protocol, port }
      if (set.type === 'hash:net,port') return { ...base, length: full }
      if (set.type === 'hash:ip,port') return base
      const other = addressAt(packet, third)
      return set.type === 'hash:ip,port,ip'
        ? { ...base, second: other }
        : { ...base, second: other, secondLength: full }
    }
  }
}

/** What a set has under the key of a member, unless its time is over. */
export function liveMember({ members }: IpSet, member: SetMember, now: number): SetMember | undefined {
  const found = members.get(memberKey(member))
  return found?.expires !== undefined && found.expires <= now ? undefined : found
}

/** The address part of a member cut to a prefix length. */
function shortened(member: SetMember, family: 4 | 6, length: number): SetMember {
  const mask = prefixMask(family, length)
  if (member.secondLength !== undefined && member.second !== undefined) {
    return { ...member, second: maskAddress(member.second, mask), secondLength: length }
  }
  if (member.address === undefined) return member
  return { ...member, address: maskAddress(member.address, mask), length }
}

/** Whether a member is in the set; prefixes are tried from the longest one on, `nomatch` members except. */
export function contains(set: IpSet, member: SetMember, now: number): boolean {
  const isNet = member.length !== undefined || member.secondLength !== undefined
  if (!isNet) return liveMember(set, member, now) !== undefined
  const lengths = [...set.lengths].sort((left, right) => right - left)
  for (const length of lengths) {
    const found = liveMember(set, shortened(member, set.family, length), now)
    if (found !== undefined) return found.nomatch !== true
  }
  return false
}

/** Whether a packet is in a set, or in one of the sets of a list (ip_set_test). */
export function packetInSet(
  sets: SetTable,
  set: IpSet,
  packet: ChainPacket,
  directions: Directions,
): boolean {
  if (set.type === 'list:set') {
    for (const { set: name } of set.members.values()) {
      const inner = name === undefined ? undefined : sets.get(name)
      if (inner !== undefined && packetInSet(sets, inner, packet, directions)) return true
    }
    return false
  }
  const bitmap = set.type.startsWith('bitmap:')
  if (!bitmap && set.type !== 'hash:mac' && set.family !== packet.family) return false
  const member = memberOf(set, packet, directions)
  return member !== undefined && contains(set, member, packet.ns.machine.clock.now)
}
