// What is left of a prefix without some parts of it, as prefixes (cilium v1.10 pkg/policy/api ComputeResultantCIDRSet,
// pkg/ip RemoveCIDRs).
import { type IpAddress, type Ipv6, ipv4From, isIpv4 } from '../../../net/address.ts'
import { covers, type Prefix, prefixOf } from '../../../net/prefix.ts'

/** The address with one more bit set, counted from the left. */
function withBit(address: IpAddress, bit: number): IpAddress {
  if (isIpv4(address)) return ipv4From(address | (1 << (31 - bit)))
  return address.map((word, index) =>
    bit >> 5 === index ? (word | (1 << (31 - (bit & 31)))) >>> 0 : word,
  ) as unknown as Ipv6
}

/** The prefixes of `whole` that none of `parts` covers, in order of their addresses. */
export function resultantCidrs(whole: Prefix, parts: readonly Prefix[]): readonly Prefix[] {
  const inside = parts.filter((part) => covers(whole, part.address) || covers(part, whole.address))
  if (inside.length === 0) return [whole]
  if (inside.some((part) => part.length <= whole.length)) return []
  const { address, length } = whole
  const halves = [prefixOf(address, length + 1), prefixOf(withBit(address, length), length + 1)]
  return halves.flatMap((half) => resultantCidrs(half, inside))
}
