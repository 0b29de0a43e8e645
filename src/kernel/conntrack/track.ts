// Which flow a packet belongs to: nf_conntrack_in(), and nf_conntrack_confirm() at the end of its way. What enters is a
// packet at PREROUTING or OUTPUT; what leaves is `skb.nfct` with `skb.nfctInfo`, or nothing for INVALID.
import { ipProtocol } from '../../net/protocol.ts'
import type { HookName } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import { type Connection, connInfo, connStatus, directionOf, isConfirmed } from './connection.ts'
import { trackGre } from './gre.ts'
import { icmpError, trackIcmp } from './icmp.ts'
import type { TrackedPacket, TrackVerdict } from './packet.ts'
import { trackSctp } from './sctp.ts'
import type { ConntrackTable } from './table.ts'
import { trackTcp } from './tcp.ts'
import { flowTimeout, refreshCounted } from './timeouts.ts'
import { invertTuple, isIcmp, readTuple, sameTuple, trackedTransport } from './tuple.ts'
import { trackUdp } from './udp.ts'

const udpLite = 136

/** nf_conntrack_handle_packet(). */
function handle(connection: Connection, packet: TrackedPacket, info: number): TrackVerdict {
  switch (packet.protocol) {
    case ipProtocol.tcp:
      return trackTcp(connection, packet, info)
    case ipProtocol.udp:
    case udpLite:
      return trackUdp(connection, packet)
    case ipProtocol.icmp:
    case ipProtocol.icmp6:
      return trackIcmp(connection, packet)
    case ipProtocol.gre:
      return trackGre(connection, packet)
    case ipProtocol.sctp:
      return trackSctp(connection, packet, info)
    default:
      refreshCounted(packet, connection, packet.ns.sysctls.get(flowTimeout.generic))
      return 'ok'
  }
}

/** resolve_normal_ct(): finds or makes the flow of a packet. */
function resolve(packet: TrackedPacket, zone: number): 'found' | 'none' | 'full' {
  const { skb, table, family, protocol } = packet
  const tuple = readTuple(skb.bytes, { l3: packet.l3, l4: packet.l4, end: skb.tail }, family, protocol)
  if (tuple === undefined) return 'none'
  const hit = table.find(tuple, zone)
  if (hit === undefined) {
    const reply = invertTuple(tuple)
    if (reply === undefined) return 'none'
    if (!table.makeRoom(tuple, zone)) return 'full'
    skb.nfct = table.create(tuple, reply, zone)
    skb.nfctInfo = connInfo.new
    return 'found'
  }
  const { connection } = hit
  skb.nfct = connection
  if (hit.direction === 1) skb.nfctInfo = connInfo.establishedReply
  else skb.nfctInfo = (connection.status & connStatus.seenReply) !== 0 ? connInfo.established : connInfo.new
  return 'found'
}

function invalid({ skb, table }: Pick<TrackedPacket, 'skb' | 'table'>): 'accept' {
  skb.nfct = undefined
  skb.nfctInfo = 0
  table.statistics.invalid += 1
  return 'accept'
}

/** The look-up and the protocol's word; again after a closed connection was reopened. */
function resolveAndHandle(packet: TrackedPacket, zone: number): 'accept' | 'drop' {
  const { skb, table } = packet
  for (;;) {
    const resolved = resolve(packet, zone)
    if (resolved === 'full') return 'drop'
    const connection = skb.nfct
    if (resolved === 'none' || connection === undefined) return invalid(packet)
    const verdict = handle(connection, packet, skb.nfctInfo)
    if (verdict === 'repeat') continue
    if (verdict === 'drop') table.statistics.drop += 1
    if (verdict !== 'ok') {
      invalid(packet)
      return verdict === 'drop' ? 'drop' : 'accept'
    }
    if (skb.nfctInfo === connInfo.establishedReply) connection.status |= connStatus.seenReply
    return 'accept'
  }
}

/**
 * nf_conntrack_in(). A packet that has been here (loopback, a bridge before the host) keeps its flow; an UNTRACKED one is
 * left alone. `drop` only when the table is full.
 */
export function trackPacket(
  table: ConntrackTable,
  skb: Skb,
  at: { readonly family: 4 | 6; readonly hook: HookName },
): 'accept' | 'drop' {
  const template = skb.nfct
  if (template === undefined ? skb.nfctInfo === connInfo.untracked : !template.template) return 'accept'
  const zone = template?.zone ?? 0
  skb.nfct = undefined
  skb.nfctInfo = 0
  const l3 = skb.networkHeader
  const place = trackedTransport(skb.bytes, l3, skb.tail, at.family)
  if (place === undefined) return invalid({ skb, table })
  const packet: TrackedPacket = {
    ns: table.ns,
    table,
    family: at.family,
    hook: at.hook,
    skb,
    l3,
    l4: place.l4,
    protocol: place.protocol,
  }
  if (isIcmp(place.protocol)) {
    if (icmpError(packet, zone) !== 'ok') return invalid(packet)
    const known = skb.nfct as Connection | undefined
    if (known !== undefined || skb.nfctInfo === connInfo.untracked) return 'accept'
  }
  return resolveAndHandle(packet, zone)
}

/** A tuple that somebody else has taken meanwhile (nf_ct_resolve_clash): the same flow is joined, another one loses. */
function clash(table: ConntrackTable, skb: Skb, connection: Connection): 'accept' | 'drop' {
  const { statistics } = table
  const winner =
    table.find(connection.original, connection.zone) ?? table.find(connection.reply, connection.zone)
  statistics.insert_failed += 1
  const mergeable = connection.original.protocol === ipProtocol.udp && winner?.direction === 0
  const same =
    winner !== undefined &&
    sameTuple(winner.connection.original, connection.original) &&
    sameTuple(winner.connection.reply, connection.reply)
  if (!mergeable || !same) {
    statistics.drop += 1
    return 'drop'
  }
  skb.nfct = winner.connection
  const [there] = winner.connection.counters ?? []
  const [own] = connection.counters ?? []
  if (there !== undefined && own !== undefined) {
    there.packets += own.packets // nf_ct_acct_merge()
    there.bytes += own.bytes
  }
  statistics.clash_resolve += 1
  return 'accept'
}

/**
 * nf_conntrack_confirm(): the packet leaves this host (POSTROUTING) or reaches it (INPUT), so its flow is real. `drop` when
 * another flow has its tuples: NAT found none that was free.
 */
export function confirm(table: ConntrackTable, skb: Skb): 'accept' | 'drop' {
  const connection = skb.nfct
  if (connection === undefined || connection.template || isConfirmed(connection)) return 'accept'
  if (directionOf(skb.nfctInfo) !== 0) return 'accept'
  if ((connection.status & connStatus.dying) !== 0) return 'drop'
  const { original, reply, zone } = connection
  if (table.find(original, zone) !== undefined || table.find(reply, zone) !== undefined) {
    return clash(table, skb, connection)
  }
  table.insert(connection)
  return 'accept'
}
