// REJECT: a drop with an answer (ipt_REJECT.c, ip6t_REJECT.c, nf_reject_ipv4.c). ICMP errors come from this host; a TCP
// reset comes from the address that was asked (facts: linux 8, routing table).
import { didYouMean } from '../../../base/closest.ts'
import { readIpv4, readIpv6 } from '../../../net/address.ts'
import { readU8, readU16, readU32 } from '../../../net/bytes.ts'
import { foldSum, pseudoSum4, pseudoSum6, segmentChecksumIsRight, sumWords } from '../../../net/checksum.ts'
import { ipv4At } from '../../../net/ipv4.ts'
import { ipv6At } from '../../../net/ipv6.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { tcpAt, tcpFlag } from '../../../net/tcp.ts'
import { udpAt } from '../../../net/udp.ts'
import { bornFrom } from '../../birth.ts'
import { attachFlow } from '../../conntrack/attach.ts'
import { type Connection, isConfirmed } from '../../conntrack/connection.ts'
import { tcpState } from '../../conntrack/tcp-track.ts'
import { refresh, tcpTimeout } from '../../conntrack/timeouts.ts'
import { readFrameHeader, writeFrameHeader } from '../../device/bridge-netfilter-header.ts'
import { addressType } from '../../ip/source.ts'
import { icmp6Send } from '../../ip6/icmp-send.ts'
import type { Namespace } from '../../namespace.ts'
import { pktType, type Skb } from '../../skb.ts'
import { buildPacket, localOut } from '../../socket/departure.ts'
import { writeSegment } from '../../socket/tcp-segment.ts'
import {
  type Action,
  actionVerdict,
  type ChainPacket,
  type RuleScope,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, valueText, withValue } from '../match/given.ts'
import { routeFromAnywhere } from '../reroute.ts'

interface RejectKind {
  readonly type: number
  readonly code: number
}

const kinds4: ReadonlyMap<string, RejectKind> = new Map([
  ['icmp-net-unreachable', { type: 3, code: 0 }],
  ['icmp-host-unreachable', { type: 3, code: 1 }],
  ['icmp-port-unreachable', { type: 3, code: 3 }],
  ['icmp-proto-unreachable', { type: 3, code: 2 }],
  ['icmp-net-prohibited', { type: 3, code: 9 }],
  ['icmp-host-prohibited', { type: 3, code: 10 }],
  ['icmp-admin-prohibited', { type: 3, code: 13 }],
])
const kinds6: ReadonlyMap<string, RejectKind> = new Map([
  ['icmp6-no-route', { type: 1, code: 0 }],
  ['icmp6-adm-prohibited', { type: 1, code: 1 }],
  ['icmp6-addr-unreachable', { type: 1, code: 3 }],
  ['icmp6-port-unreachable', { type: 1, code: 4 }],
  ['icmp6-policy-fail', { type: 1, code: 5 }],
  ['icmp6-reject-route', { type: 1, code: 6 }],
])
const aliases: ReadonlyMap<string, string> = new Map([
  ['net-unreach', 'icmp-net-unreachable'],
  ['host-unreach', 'icmp-host-unreachable'],
  ['port-unreach', 'icmp-port-unreachable'],
  ['proto-unreach', 'icmp-proto-unreachable'],
  ['net-prohib', 'icmp-net-prohibited'],
  ['host-prohib', 'icmp-host-prohibited'],
  ['admin-prohib', 'icmp-admin-prohibited'],
  ['tcp-rst', 'tcp-reset'],
  ['no-route', 'icmp6-no-route'],
  ['adm-prohibited', 'icmp6-adm-prohibited'],
  ['addr-unreach', 'icmp6-addr-unreachable'],
  ['policy-fail', 'icmp6-policy-fail'],
  ['reject-route', 'icmp6-reject-route'],
])

/** nf_ct_set_closing(): a flow of the table is over, and kept for as long as closed ones are. */
function close(ns: Namespace, connection: Connection | undefined): void {
  if (connection?.tcp === undefined || !isConfirmed(connection)) return
  if (connection.tcp.state === tcpState.close) return
  connection.tcp.state = tcpState.close
  refresh(ns, connection, ns.sysctls.get(tcpTimeout.close))
}

/** nf_reject_ip_tcphdr_get(): not for resets, fragments, or segments with a wrong checksum. */
function mayReset(packet: ChainPacket): boolean {
  const { skb, l3, l4, protocol, fragmentOffset } = packet
  if (protocol !== ipProtocol.tcp || fragmentOffset !== 0 || l4 + tcpAt.options > skb.tail) return false
  if ((readU8(skb.bytes, l4 + tcpAt.flags) & tcpFlag.rst) !== 0) return false
  return segmentChecksumIsRight(skb.bytes, { l3, l4, end: skb.tail, protocol })
}

/** The reset's TCP header: from the acknowledgement where there is one, else acknowledging everything. */
function resetSegment({ skb, l4 }: ChainPacket): Uint8Array {
  const { bytes } = skb
  const flags = readU8(bytes, l4 + tcpAt.flags)
  const hasAck = (flags & tcpFlag.ack) !== 0
  const header = (readU8(bytes, l4 + tcpAt.dataOffset) >>> 4) << 2
  const counted = ((flags & tcpFlag.syn) !== 0 ? 1 : 0) + ((flags & tcpFlag.fin) !== 0 ? 1 : 0)
  const end = readU32(bytes, l4 + tcpAt.sequence) + counted + skb.tail - l4 - header
  return writeSegment({
    sport: readU16(bytes, l4 + 2),
    dport: readU16(bytes, l4),
    sequence: hasAck ? readU32(bytes, l4 + tcpAt.acknowledgement) : 0,
    acknowledgement: hasAck ? 0 : end >>> 0,
    flags: hasAck ? tcpFlag.rst : tcpFlag.rst | tcpFlag.ack,
    window: 0,
    options: new Uint8Array(0),
    data: new Uint8Array(0),
  })
}

/** nf_send_reset(), nf_send_reset6(). */
function sendReset(packet: ChainPacket): void {
  if (!mayReset(packet)) return
  const { ns, skb, l3, family } = packet
  const address = family === 4 ? readIpv4 : readIpv6
  const at = family === 4 ? ipv4At : ipv6At
  const source = address(skb.bytes, l3 + at.destination)
  const destination = address(skb.bytes, l3 + at.source)
  if (typeof destination === 'number' && addressType(ns, destination) === 'broadcast') return
  const reflect = ns.sysctls.get(family === 4 ? 'net.ipv4.fwmark_reflect' : 'net.ipv6.fwmark_reflect') !== 0
  const mark = reflect ? skb.mark : 0
  const route = routeFromAnywhere(ns, { source, destination, mark, tos: 0, oif: 0 })
  if (route === undefined) return
  const reply = buildPacket({
    socket: undefined,
    route,
    source,
    destination,
    protocol: ipProtocol.tcp,
    ttl: ns.sysctls.get(family === 4 ? 'net.ipv4.ip_default_ttl' : 'net.ipv6.conf.all.hop_limit'),
    tos: 0,
    mark,
    dontFragment: true,
    identification: 0,
    segment: resetSegment(packet),
    ...(family === 4 ? { checksum: 'unfinished' } : {}),
  })
  attachFlow(reply, skb)
  close(ns, skb.nfct)
  bornFrom(skb, reply, 'rst')
  if (!sendThroughPort(skb, reply)) localOut(ns, reply, { uncounted: true })
}

/**
 * A reset that answers a bridged segment goes straight out of the port it came in by, its MAC addresses exchanged, past the
 * hooks of OUTPUT and POSTROUTING and past the bridge.
 */
function sendThroughPort(skb: Skb, reply: Skb): boolean {
  const port = skb.bridged?.physIn
  if (port === undefined || skb.macHeader < 0) return false
  const { source, destination } = readFrameHeader(skb)
  writeFrameHeader(reply, { source: destination, destination: source })
  reply.dev = port
  port.ns.machine.wiring.transmit(reply)
  return true
}

/** Protocols whose checksum is not one over the whole payload: nobody looks at it (nf_reject_verify_csum). */
const otherwiseChecked: ReadonlySet<number> = new Set([
  33, // DCCP
  ipProtocol.esp,
  ipProtocol.ah,
  ipProtocol.sctp,
  136, // UDP-Lite
])
/** GRE_CSUM in the first byte of the flags. */
const greChecksum = 0x80

/** Whether the packet says that it has a checksum over its payload; of one that is cut off nobody knows. */
function isChecked({ skb, l4, protocol }: ChainPacket): boolean {
  if (otherwiseChecked.has(protocol)) return false
  if (protocol === ipProtocol.udp) return l4 + 8 <= skb.tail && readU16(skb.bytes, l4 + udpAt.checksum) !== 0
  if (protocol === ipProtocol.gre) return l4 + 4 <= skb.tail && (readU8(skb.bytes, l4) & greChecksum) !== 0
  return true
}

/**
 * nf_send_unreach(), reject6_csum_ok(): nobody answers a packet with a wrong checksum. A protocol that the kernel does not
 * know is taken to have one of 16 bits as well, and a first fragment has only a part of what its own covers.
 */
function checksumHolds(packet: ChainPacket): boolean {
  const { skb, l3, l4, protocol, family, fragmentOffset } = packet
  if (fragmentOffset !== 0) return false
  if (!isChecked(packet)) return true
  const { bytes, tail } = skb
  const length = tail - l4
  const four = family === 4
  const known = protocol === ipProtocol.tcp || protocol === ipProtocol.udp
  const pseudo = four
    ? known
      ? pseudoSum4(bytes, l3, protocol, length)
      : 0
    : pseudoSum6(bytes, l3, protocol, length)
  const sum = foldSum(sumWords(bytes, l4, tail, pseudo))
  return sum === 0 || sum === 0xffff
}

function sendError(packet: ChainPacket, kind: RejectKind): void {
  if (!checksumHolds(packet)) return
  const { ns, skb, family } = packet
  if (family === 6) icmp6Send(skb, { ...kind, info: 0 })
  else ns.ip.stack.sendError(skb, { ...kind, info: 0 })
}

/** An action that answers in one of the ways of `--reject-with`, by its full name. */
export function rejectAction(name: string): Action {
  return actionOf(name, kinds4.get(name) ?? kinds6.get(name))
}

function actionOf(name: string, kind: RejectKind | undefined): Action {
  return (packet) => {
    packet.rejectedWith = name
    if (kind === undefined) {
      if (packet.skb.pktType === pktType.host) sendReset(packet)
    } else {
      sendError(packet, kind)
    }
    return actionVerdict.drop
  }
}

function checkReset(scope: RuleScope, place: Parameters<RuleScope['report']>[0]): boolean {
  if (scope.protocol === ipProtocol.tcp) return true
  scope.report(place, '`--reject-with tcp-reset` needs `-p tcp`')
  return false
}

const reject: TargetKind = {
  name: 'REJECT',
  tables: ['filter'],
  hooks: ['INPUT', 'FORWARD', 'OUTPUT'],
  options: [withValue('--reject-with')],
  read: (given, scope, word): TargetSpec | undefined => {
    const option = find(given, '--reject-with')
    const kinds = scope.family === 4 ? kinds4 : kinds6
    const fallback = scope.family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable'
    const written = option === undefined ? fallback : valueText(option)
    const name =
      scope.family === 6 && written === 'port-unreach' ? fallback : (aliases.get(written) ?? written)
    const kind = kinds.get(name)
    const place = option?.values[0] ?? word
    if (kind === undefined && name !== 'tcp-reset') {
      return scope.report(
        place,
        `there is no way to reject with \`${written}\``,
        didYouMean(written, [...kinds.keys(), 'tcp-reset']),
      )
    }
    if (name === 'tcp-reset' && !checkReset(scope, place)) return undefined
    const action = actionOf(name, kind)
    return { text: `--reject-with ${name}`, bind: () => action }
  },
}

/** The target that answers. */
export const rejectTargets: readonly TargetKind[] = [reject]
