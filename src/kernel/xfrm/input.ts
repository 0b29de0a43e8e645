// An ESP packet for this host: net/xfrm/xfrm_input.c xfrm_input(), net/ipv4/xfrm4_input.c, net/ipv6/xfrm6_input.c. What a tunnel
// held is received once more on the same device; what came in transport mode passes PREROUTING once more.
import { present } from '../../base/assert.ts'
import { readIpv4, readIpv6 } from '../../net/address.ts'
import { readU8, writeU16 } from '../../net/bytes.ts'
import { decodeEsp } from '../../net/esp.ts'
import { icmpType, icmpUnreachable } from '../../net/icmp.ts'
import { icmpv6Type } from '../../net/icmpv6.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At, ipv6TrafficClass } from '../../net/ipv6.ts'
import { isMalformed } from '../../net/malformed.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { count } from '../counters.ts'
import { ecnDecapCe } from '../device/tunnel-ecn.ts'
import { drop } from '../drop.ts'
import { insideOf } from '../inside.ts'
import { deliverLocally } from '../ip/deliver.ts'
import { updatePathMtu } from '../ip/path-mtu.ts'
import { finishReceive } from '../ip/receive.ts'
import type { IcmpError, TransportHandler } from '../ip/state.ts'
import { deliverLocally6 } from '../ip6/deliver.ts'
import { finishReceive as finishReceive6 } from '../ip6/receive.ts'
import type { Machine } from '../machine.ts'
import { arriveFromTunnel } from '../napi.ts'
import type { Skb } from '../skb.ts'
import { finishLengths } from './encap.ts'
import { espOpen } from './esp.ts'
import { mayCome, noteNumber, outputMark, wholeNumber, type XfrmState } from './state.ts'

/** XFRM_MAX_DEPTH */
const depthMax = 6

function lose(skb: Skb, counter: string): undefined {
  const { ns } = skb.dev
  count(ns, counter)
  drop(skb, {
    node: ns.name,
    device: '',
    stage: 'xfrm',
    reason: 'SKB_DROP_REASON_NOT_SPECIFIED',
    facts: [{ kind: 'kernel', word: 'xfrm', text: counter }],
  })
  return undefined
}

/** The state of the packet whose ESP header stands at `skb.data`, and the protocol inside; undefined for one that is gone. */
function openOne(skb: Skb, family: 4 | 6): { readonly state: XfrmState; readonly next: number } | undefined {
  const { ns } = skb.dev
  const header = decodeEsp(skb.bytes, skb.data, skb.tail)
  if (isMalformed(header)) return lose(skb, 'XfrmInHdrError')
  const l3 = skb.networkHeader
  const destination =
    family === 4 ? readIpv4(skb.bytes, l3 + ipv4At.destination) : readIpv6(skb.bytes, l3 + ipv6At.destination)
  const state = ns.xfrm?.states.lookup(skb.mark, {
    destination,
    protocol: ipProtocol.esp,
    spi: header.spi,
  })
  if (state === undefined) return lose(skb, 'XfrmInNoStates')
  skb.mark = outputMark(state, skb.mark)
  const number = wholeNumber(state, header.sequence)
  if (!mayCome(state, number)) return lose(skb, 'XfrmInStateSeqError')
  const length = skb.length
  const next = espOpen(skb, state, number)
  if (typeof next === 'string') return lose(skb, 'XfrmInStateProtoError')
  noteNumber(state, number)
  state.bytes += length
  state.packets += 1
  const path = skb.securityPath
  skb.securityPath = { states: [...(path?.states ?? []), state], verified: path?.verified ?? 0 }
  return { state, next }
}

function note(skb: Skb): void {
  const { ns } = skb.dev
  const facts = insideOf(skb.dev, skb)
  const site = { node: ns.name, device: '', stage: 'xfrm' } as const
  ns.machine.trace?.note(skb, site, { actor: 'kernel', decision: { code: 'DECRYPT' }, facts })
}

const ethernetBytes = 14

/** xfrm4_remove_tunnel_encap(), xfrm6_remove_tunnel_encap(): congestion met outside is written inside. */
function leaveTunnel(skb: Skb, state: XfrmState, next: number, outerTos: number): void {
  const protocol = next === ipProtocol.ipip ? etherType.ipv4 : next === ipProtocol.ipv6 ? etherType.ipv6 : 0
  const least = protocol === etherType.ipv4 ? ipv4At.options : ipv6At.payload
  if (protocol === 0 || skb.length < least) return void lose(skb, 'XfrmInStateModeError')
  const mac = skb.macHeader
  skb.networkHeader = skb.data
  skb.protocol = protocol
  if (!state.flags.includes('noecn')) ecnDecapCe(skb, outerTos)
  skb.nfct = undefined
  skb.nfctInfo = 0
  skb.route = undefined
  skb.options = undefined
  skb.fragmentMax = 0
  skb.summedHeader = -1
  skb.macHeader = -1
  note(skb)
  if (mac >= 0) {
    // skb_mac_header_rebuild()
    skb.bytes.copyWithin(skb.data - ethernetBytes, mac, mac + ethernetBytes)
    skb.macHeader = skb.data - ethernetBytes
    writeU16(skb.bytes, skb.data - 2, protocol)
    skb.data = skb.macHeader
  }
  arriveFromTunnel(skb.dev, skb)
}

/** xfrm4_transport_finish(), xfrm6_transport_finish(): the IP header says what it protected, and the packet is looked at anew. */
function leaveTransport(
  skb: Skb,
  header: { readonly end: number; readonly nextAt: number },
  next: number,
): void {
  const { bytes, networkHeader: l3, data } = skb
  const length = header.end - l3
  const moved = data - length
  bytes.copyWithin(moved, l3, header.end)
  const gap = moved - l3
  if (skb.macHeader >= 0) {
    const before = l3 - skb.macHeader
    bytes.copyWithin(moved - before, skb.macHeader, l3)
    skb.macHeader += gap
  }
  skb.networkHeader = moved
  skb.data = moved
  bytes[moved + header.nextAt] = next
  finishLengths(skb)
  skb.nfct = undefined
  skb.nfctInfo = 0
  skb.summedHeader = -1
  note(skb)
  const { ns } = skb.dev
  const family = skb.protocol === etherType.ipv4 ? 4 : 6
  const verdict = ns.netfilter.run(ns, { family, hook: 'PREROUTING' }, skb, { in: skb.dev, out: undefined })
  if (verdict !== 'accept') return
  // a packet that PREROUTING has given another destination has lost its route
  const kept = skb.route?.local === true
  const deliver =
    family === 4 ? (kept ? deliverLocally : finishReceive) : kept ? deliverLocally6 : finishReceive6
  ns.machine.clock.soon(() => deliver(skb))
}

/** xfrm_input() for the packet whose ESP header stands at `skb.data`. */
function receive(skb: Skb, family: 4 | 6): void {
  const { bytes, networkHeader: l3 } = skb
  const end = skb.data
  const tos = family === 4 ? readU8(bytes, l3 + ipv4At.tos) : ipv6TrafficClass(bytes, l3)
  const nextAt = family === 4 ? ipv4At.protocol : nextHeaderAt(skb)
  for (let depth = (skb.securityPath?.states.length ?? 0) + 1; depth <= depthMax; depth += 1) {
    const opened = openOne(skb, family)
    if (opened === undefined) return
    if (opened.state.mode === 'tunnel') return leaveTunnel(skb, opened.state, opened.next, tos)
    if (opened.next !== ipProtocol.esp) return leaveTransport(skb, { end, nextAt }, opened.next)
  }
  lose(skb, 'XfrmInBufferError')
}

/** Where the byte that names ESP stands, from the IPv6 header on. */
function nextHeaderAt({ bytes, networkHeader: l3, data }: Skb): number {
  let nextAt: number = ipv6At.nextHeader
  for (let at = l3 + ipv6At.payload; at < data; at += (readU8(bytes, at + 1) + 1) << 3) nextAt = at - l3
  return nextAt
}

/** esp4_err(), esp6_err(): a smaller MTU on the way to the other end of a tunnel. False where no state is meant. */
function error(skb: Skb, message: IcmpError): boolean {
  const { ns } = skb.dev
  const { family, quote, quoteTransport, quoteEnd, type, code, info } = message
  const tooBig =
    family === 4
      ? type === icmpType.unreachable && code === icmpUnreachable.fragmentationNeeded
      : type === icmpv6Type.packetTooBig
  const header = decodeEsp(skb.bytes, quoteTransport, quoteEnd)
  if (!tooBig || isMalformed(header)) return true
  const destination =
    family === 4
      ? readIpv4(skb.bytes, quote + ipv4At.destination)
      : readIpv6(skb.bytes, quote + ipv6At.destination)
  const wanted = { destination, protocol: ipProtocol.esp, spi: header.spi }
  if (ns.xfrm?.states.lookup(skb.mark, wanted) === undefined) return true
  updatePathMtu(ns, destination, {
    device: present(skb.route, 'a received packet has a route').input ?? skb.dev,
    mtu: info,
  })
  return true
}

const espTransport: TransportHandler = { receive, error }

/** The module esp4 or esp6 comes with the first state that needs it, for the whole host. */
export function loadEsp(machine: Machine): void {
  const { transports } = machine.ipStack
  if (!transports.has(ipProtocol.esp)) transports.set(ipProtocol.esp, espTransport)
}
