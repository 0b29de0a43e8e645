// NETMAP: the prefix of an address is replaced, the rest of it stays (xt_NETMAP.c).
import { type IpAddress, type Ipv6, ipv4From, isIpv4, readIpv4, readIpv6 } from '../../../net/address.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { manipOf, setupNat } from '../../conntrack/nat.ts'
import {
  type Action,
  actionVerdict,
  type ChainPacket,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { read, required, withValue } from '../match/given.ts'
import { formatMaskedAddress, type MaskedAddress, parseMaskedAddress } from '../values.ts'

function mapped(address: IpAddress, { address: net, mask }: MaskedAddress): IpAddress {
  if (isIpv4(address) || isIpv4(net) || isIpv4(mask))
    return ipv4From((Number(address) & ~Number(mask)) | (Number(net) & Number(mask)))
  return [0, 1, 2, 3].map((word) => {
    const at = word as 0 | 1 | 2 | 3
    return ((address[at] & ~mask[at]) | (net[at] & mask[at])) >>> 0
  }) as unknown as Ipv6
}

function addressAt({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  return family === 4 ? readIpv4(skb.bytes, l3 + ipv4At[side]) : readIpv6(skb.bytes, l3 + ipv6At[side])
}

function actionOf(net: MaskedAddress): Action {
  return (packet) => {
    const { conntrack } = packet.ns.netfilter
    const { nfct } = packet.skb
    if (conntrack === undefined || nfct === undefined) return actionVerdict.drop
    const manip = manipOf(packet.hook)
    const address = mapped(addressAt(packet, manip), net)
    const range = {
      addresses: { first: address, last: address },
      ports: undefined,
      random: false,
      persistent: false,
      basePort: undefined,
    }
    return actionVerdict[setupNat(conntrack, nfct, range, manip)]
  }
}

const netmap: TargetKind = {
  name: 'NETMAP',
  tables: ['nat'],
  hooks: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  options: [withValue('--to')],
  read: (given, scope, word): TargetSpec | undefined => {
    const option = required(given, scope, '--to', { word, name: '-j NETMAP' })
    if (option === undefined) return undefined
    const net = read(option, scope, (text) => parseMaskedAddress(text, scope.family), 'address or prefix')
    if (net === undefined) return undefined
    return { text: `--to ${formatMaskedAddress(net)}`, need: 'conntrack', bind: () => actionOf(net) }
  },
}

/** The target that moves prefixes. */
export const netmapTargets: readonly TargetKind[] = [netmap]
