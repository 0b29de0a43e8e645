// Copies of packets to another host: xt_TEE.c over nf_dup_ipv4.c, nf_dup_ipv6.c. The copy belongs to no flow, keeps its
// addresses, and is sent to the gateway's MAC; the packet itself goes on.
import { formatIp, type IpAddress, isIpv4, parseIpv4, parseIpv6 } from '../../../net/address.ts'
import { readU8, readU16, writeU8, writeU16 } from '../../../net/bytes.ts'
import { ipv4At, ipv4Flag } from '../../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../../net/ipv6.ts'
import { connInfo } from '../../conntrack/connection.ts'
import { ipLocalOut } from '../../ip/output.ts'
import { ip6LocalOut } from '../../ip6/output.ts'
import type { Machine } from '../../machine.ts'
import type { Skb } from '../../skb.ts'
import {
  type Action,
  actionVerdict,
  type ChainPacket,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, read, required, valueText, withValue } from '../match/given.ts'
import { routeFromAnywhere } from '../reroute.ts'

/** current->in_nf_duplicate: machines that are sending a copy, of which no copies are made. */
const duplicating = new WeakSet<Machine>()

function copyOf({ skb, family, hook, l3 }: ChainPacket): Skb {
  const copy = skb.clone()
  copy.nfct = undefined
  copy.nfctInfo = connInfo.untracked
  copy.sk = undefined
  const at = l3 + (family === 4 ? ipv4At.ttl : ipv6At.hopLimit)
  if (hook === 'PREROUTING' || hook === 'INPUT') writeU8(copy.bytes, at, (readU8(copy.bytes, at) - 1) & 0xff)
  if (family === 4) {
    const flags = l3 + ipv4At.flagsAndOffset
    writeU16(copy.bytes, flags, readU16(copy.bytes, flags) | ipv4Flag.dontFragment)
  }
  return copy
}

/** nf_dup_ipv4(), nf_dup_ipv6(). The route is the gateway's; its MAC is asked for even when it is a neighbour itself. */
function duplicate(packet: ChainPacket, gateway: IpAddress, device: string | undefined): void {
  const { ns, family, skb, l3 } = packet
  if (duplicating.has(ns.machine)) return
  const four = family === 4
  const route = routeFromAnywhere(ns, {
    source: four ? (0 as IpAddress) : [0, 0, 0, 0],
    destination: gateway,
    mark: 0,
    tos: four ? readU8(skb.bytes, l3 + ipv4At.tos) & 0xfc : ipv6TrafficClass(skb.bytes, l3),
    oif: device === undefined ? 0 : (ns.devicesByName.get(device)?.ifindex ?? 0),
  })
  if (route === undefined) return
  const copy = copyOf(packet)
  copy.route = { ...route, gateway: route.gateway ?? gateway }
  duplicating.add(ns.machine)
  try {
    if (four) ipLocalOut(ns, copy)
    else ip6LocalOut(ns, copy)
  } finally {
    duplicating.delete(ns.machine)
  }
}

const tee: TargetKind = {
  name: 'TEE',
  options: [withValue('--gateway'), withValue('--oif')],
  read: (given, scope, word): TargetSpec | undefined => {
    const option = required(given, scope, '--gateway', { word, name: '-j TEE' })
    if (option === undefined) return undefined
    const parse = scope.family === 4 ? parseIpv4 : parseIpv6
    const gateway = read<IpAddress>(option, scope, parse, `IPv${scope.family} address`)
    if (gateway === undefined) return undefined
    if (isIpv4(gateway) ? gateway === 0 : gateway.every((each) => each === 0))
      return scope.report(option.values[0] ?? word, 'a gateway is the address of a host')
    const oif = find(given, '--oif')
    const device = oif && valueText(oif)
    const action: Action = (packet) => {
      duplicate(packet, gateway, device)
      return actionVerdict.next
    }
    const text = `--gateway ${formatIp(gateway)}${device === undefined ? '' : ` --oif ${device}`}`
    return { text, bind: () => action }
  },
}

/** The target that copies. */
export const teeTargets: readonly TargetKind[] = [tee]
