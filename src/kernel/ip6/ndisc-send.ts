// Neighbour discovery messages that this host sends: net/ipv6/ndisc.c ndisc_send_ns(), ndisc_send_na(), ndisc_solicit(),
// ndisc_error_report(). They pass OUTPUT and POSTROUTING like every packet. RFC 4861 sections 7.2.2 and 7.2.4.
import { type Ipv6, isIpv4, isMulticast, isUnspecified, readIpv6, solicitedNode } from '../../net/address.ts'
import { icmpv6Type, icmpv6Unreachable } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { macFrom } from '../../net/mac.ts'
import { encodeNd, type NdMessage } from '../../net/nd.ts'
import type { NdOption } from '../../net/nd-options.ts'
import { etherType } from '../../net/protocol.ts'
import { bornFrom } from '../birth.ts'
import type { NetDevice } from '../device/device.ts'
import type { Neighbour, NeighbourOps } from '../neighbour-table.ts'
import type { Skb } from '../skb.ts'
import { buildIcmp6, countIcmp6 } from './icmp-build.ts'
import { icmp6Send } from './icmp-send.ts'
import { ip6LocalOut } from './output.ts'
import { isOwnIpv6, linkLocalAddress, selectSource } from './source.ts'
import { makeRoute6 } from './way.ts'

/** Neighbour discovery is believed only when no router can have touched it. */
const hopLimit = 255

/** ndisc_send_skb(): straight onto the link of a device; no routing table is asked. */
function send(
  dev: NetDevice,
  ends: { readonly source: Ipv6; readonly destination: Ipv6 },
  what: { readonly message: NdMessage; readonly type: number; readonly cause: Skb | undefined },
): void {
  const type = isMulticast(ends.destination) ? 'multicast' : 'unicast'
  const route = makeRoute6({
    type,
    device: dev,
    input: undefined,
    local: false,
    match: undefined,
    mtu: dev.mtu,
  })
  const message = encodeNd(what.message)
  const skb = buildIcmp6({ route, ...ends, hopLimit, trafficClass: 0, mark: 0, message })
  bornFrom(what.cause, skb, 'nd')
  // what a hook or the device refuses does not count
  if (ip6LocalOut(dev.ns, skb, { unheard: true }) === 0) countIcmp6(dev.ns, 'Out', what.type)
}

/** ndisc_send_ns(): who has `target`? From `source`, else the device's link-local address; none: nothing is sent. */
export function sendSolicitation(
  dev: NetDevice,
  question: {
    readonly target: Ipv6
    readonly destination: Ipv6
    readonly source: Ipv6 | undefined
    readonly cause: Skb | undefined
  },
): void {
  const source = question.source ?? linkLocalAddress(dev)
  if (source === undefined) return
  const options: readonly NdOption[] = isUnspecified(source)
    ? []
    : [{ kind: 'source-link', mac: macFrom(dev.mac) }]
  const message: NdMessage = { kind: 'neighbour-solicitation', target: question.target, options }
  const ends = { source, destination: question.destination }
  send(dev, ends, { message, type: icmpv6Type.neighbourSolicitation, cause: question.cause })
}

/** ndisc_send_na(): `target` is here, at this device's MAC address. */
export function sendAdvertisement(
  dev: NetDevice,
  answer: {
    readonly target: Ipv6
    readonly destination: Ipv6
    readonly router: boolean
    readonly solicited: boolean
    readonly override: boolean
    /** Say the MAC address, which a probe of one who knows it does not need. */
    readonly withLink: boolean
    readonly cause: Skb | undefined
  },
): void {
  const { target, destination, router, solicited, override } = answer
  const own = isOwnIpv6(dev.ns, target, dev)
  const source = own ? target : selectSource(dev.ns, dev, destination)
  if (isUnspecified(source)) return
  const options: readonly NdOption[] = answer.withLink ? [{ kind: 'target-link', mac: macFrom(dev.mac) }] : []
  const message: NdMessage = { kind: 'neighbour-advertisement', router, solicited, override, target, options }
  send(
    dev,
    { source, destination },
    { message, type: icmpv6Type.neighbourAdvertisement, cause: answer.cause },
  )
}

/** The waiting packet's source, if it is an address of this very device: a router asks from its own. */
function packetSource(dev: NetDevice, cause: Skb | undefined): Ipv6 | undefined {
  if (cause === undefined || cause.protocol !== etherType.ipv6) return undefined
  const source = readIpv6(cause.bytes, cause.networkHeader + ipv6At.source)
  return isOwnIpv6(dev.ns, source, dev) ? source : undefined
}

function solicit(
  neighbour: Neighbour,
  options: { readonly unicast: boolean; readonly cause: Skb | undefined },
): void {
  const { device, address } = neighbour
  if (isIpv4(address)) return
  sendSolicitation(device, {
    target: address,
    destination: options.unicast ? address : solicitedNode(address),
    source: packetSource(device, options.cause),
    cause: options.cause,
  })
}

/** ndisc_error_report(): the sender of a packet that could not be delivered on the link gets "address unreachable". */
function unreachable(_neighbour: Neighbour, skb: Skb): void {
  icmp6Send(skb, { type: icmpv6Type.unreachable, code: icmpv6Unreachable.address, info: 0 })
}

/** What neighbour discovery does for the neighbour state machine. */
export const ndiscOps: NeighbourOps = { family: 6, solicit, unreachable }
