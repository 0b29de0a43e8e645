import { describe, expect, test } from 'vitest'
import { CtEntry } from '../maps/ct-entry.ts'
import { Tuple } from '../maps/tuple.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  entryText,
  frame,
  keysOf,
  packetTuple,
} from '../test-support/lab.ts'
import { ctAnyMap, ctCreate, ctLookup, ctMapOf } from './conntrack.ts'
import { ctIsReply } from './ct-entries.ts'
import { type CtDirection, ctDirection, ctScope, ctStatus, newCtState } from './ct-state.ts'
import { tcpFlag } from './ct-update.ts'
import { drop } from './drop-reason.ts'
import { ipv4 } from './family.ts'
import { walkHeaders } from './headers.ts'

const { EGRESS, INGRESS } = ctDirection
const client = '10.0.1.10'
const server = '10.0.2.20'

const { SYN, ACK, FIN, RST } = tcpFlag
const fromClient = (flags: number): Uint8Array =>
  frame(client, server, { kind: 'tcp', source: 40_000, destination: 80, flags })
const fromServer = (flags: number): Uint8Array =>
  frame(server, client, { kind: 'tcp', source: 80, destination: 40_000, flags })

/** One packet through conntrack as an endpoint's program does it: lookup, and an entry where there is none. */
function pass(lab: DatapathLab, packet: Uint8Array, direction: CtDirection) {
  return lab.run(packet, (ctx) => {
    const tuple = new Tuple(ipv4)
    tuple.saddr = ctx.packet.copy(26, 4)
    tuple.daddr = ctx.packet.copy(30, 4)
    const walk = walkHeaders(ctx, ipv4, 14)
    if (typeof walk === 'number') throw new Error(String(walk))
    tuple.nexthdr = walk.nexthdr
    const map = ctMapOf(ctx, tuple)
    const place = { l3Offset: 14, l4Offset: 14 + walk.length, fragment: walk.fragment, direction }
    const found = ctLookup(ctx, map, tuple, { ...place, scope: ctScope.BIDIR, state: newCtState() })
    if (found.status === ctStatus.NEW) {
      ctCreate(ctx, map, ctAnyMap(ctx, ipv4), tuple, direction, { ...newCtState(), srcSecId: 5001 })
    }
    return { ...found, tuple }
  }).result
}

function onlyEntry(lab: DatapathLab): CtEntry {
  const { cilium_ct4_global: map } = lab.maps
  const keys = keysOf(map)
  expect(keys.length).toBe(1)
  return new CtEntry(map.lookup(keys[0]!, 0))
}

const left = (lab: DatapathLab): number => onlyEntry(lab).lifetime - lab.seconds

describe('the entries of the worked example (facts 12.1)', () => {
  test.each([
    [EGRESS, '0', '2'],
    [INGRESS, '1', '3'],
  ] as const)('a SYN seen in direction %i makes an entry and its twin', (direction, flags, related) => {
    const lab = datapathLab()
    expect(pass(lab, fromClient(SYN), direction).status).toBe(ctStatus.NEW)
    expect(keysOf(lab.maps.cilium_ct4_global).map(entryText)).toEqual([
      `${flags} proto 6 10.0.1.10:40000 -> 10.0.2.20:80`,
    ])
    expect(keysOf(lab.maps.cilium_ct_any4_global).map(entryText)).toEqual([
      `${related} proto 1 10.0.1.10:0 -> 10.0.2.20:0`,
    ])
    const entry = onlyEntry(lab)
    expect([entry.srcSecId, entry.packets, entry.is('seen_non_syn'), left(lab)]).toEqual([5001, 1, false, 60])
    const twin = new CtEntry(
      lab.maps.cilium_ct_any4_global.lookup(keysOf(lab.maps.cilium_ct_any4_global)[0]!, 0),
    )
    expect([twin.srcSecId, twin.packets, twin.lifetime - lab.seconds]).toEqual([5001, 0, 60])
  })

  test('the bytes of the stored key: addresses reversed, ports of the original direction', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    expect(keysOf(lab.maps.cilium_ct4_global)[0]).toEqual(
      Uint8Array.of(10, 0, 1, 10, 10, 0, 2, 20, 0, 80, 0x9c, 0x40, 6, 0),
    )
  })
})

describe('states (facts 3.3)', () => {
  test('forward is established, backward a reply, in both directions of one entry', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    expect(pass(lab, fromServer(SYN | ACK), INGRESS).status).toBe(ctStatus.REPLY)
    expect(pass(lab, fromClient(ACK), EGRESS).status).toBe(ctStatus.ESTABLISHED)
    expect(onlyEntry(lab).packets).toBe(3)
  })

  test('the tuple is in forward form for what is established and as the packet has it for replies', () => {
    const lab = datapathLab()
    expect(entryText(pass(lab, fromClient(SYN), EGRESS).tuple.bytes)).toBe(
      '0 proto 6 10.0.1.10:40000 -> 10.0.2.20:80',
    )
    const { tuple } = pass(lab, fromServer(SYN | ACK), INGRESS)
    expect([tuple.saddr, tuple.dport, tuple.sport]).toEqual([addressBytes(server), 80, 40_000])
  })

  test('a SYN-ACK does not end the time of a SYN, the ACK does', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    pass(lab, fromServer(SYN | ACK), INGRESS)
    expect(left(lab)).toBe(60)
    pass(lab, fromClient(ACK), EGRESS)
    expect(left(lab)).toBe(8000)
  })

  test('half closed keeps the long time, closed gets ten seconds', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    pass(lab, fromServer(SYN | ACK), INGRESS)
    pass(lab, fromClient(FIN | ACK), EGRESS)
    expect([onlyEntry(lab).is('tx_closing'), onlyEntry(lab).is('rx_closing'), left(lab)]).toEqual([
      true,
      false,
      8000,
    ])
    pass(lab, fromServer(FIN | ACK), INGRESS)
    expect([onlyEntry(lab).is('rx_closing'), left(lab)]).toEqual([true, 10])
  })

  test('a packet of a closed connection does not keep its entry', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    pass(lab, fromClient(RST), EGRESS)
    lab.seconds += 5
    pass(lab, fromClient(ACK), EGRESS)
    expect(left(lab)).toBe(5)
  })

  test('an RST closes both directions, also when both SYNs were seen', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    pass(lab, fromServer(SYN | ACK), INGRESS)
    pass(lab, fromClient(ACK), EGRESS)
    pass(lab, fromServer(RST), INGRESS)
    const entry = onlyEntry(lab)
    expect([entry.is('rx_closing'), entry.is('tx_closing'), left(lab)]).toEqual([true, true, 10])
  })

  test('a SYN on a closing entry is new and starts over', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    pass(lab, fromClient(ACK), EGRESS)
    pass(lab, fromClient(FIN | ACK), EGRESS)
    expect(pass(lab, fromClient(SYN), EGRESS).status).toBe(ctStatus.NEW)
    const entry = onlyEntry(lab)
    expect([entry.packets, entry.is('tx_closing'), entry.is('seen_non_syn'), left(lab)]).toEqual([
      1,
      false,
      false,
      60,
    ])
  })

  test('the time of an entry does not matter to a lookup', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    lab.seconds += 100_000
    expect(pass(lab, fromClient(ACK), EGRESS).status).toBe(ctStatus.ESTABLISHED)
  })

  test('UDP lives for a minute', () => {
    const lab = datapathLab()
    const packet = frame(client, server, { kind: 'udp', source: 5000, destination: 53 })
    pass(lab, packet, EGRESS)
    const key = keysOf(lab.maps.cilium_ct_any4_global).find((each) => each[12] === 17)
    expect(new CtEntry(lab.maps.cilium_ct_any4_global.lookup(key!, 0)).lifetime).toBe(lab.seconds + 60)
    expect(keysOf(lab.maps.cilium_ct4_global)).toEqual([])
  })
})

describe('reports', () => {
  test('a new flag or five seconds make a packet worth a report', () => {
    const lab = datapathLab()
    expect(pass(lab, fromClient(SYN), EGRESS).monitor).toBe(128)
    expect(pass(lab, fromClient(ACK), EGRESS).monitor).toBe(0)
    lab.seconds += 5
    expect(pass(lab, fromClient(ACK), EGRESS).monitor).toBe(0)
    lab.seconds += 1
    expect(pass(lab, fromClient(ACK), EGRESS).monitor).toBe(128)
    expect(pass(lab, fromClient(FIN | ACK), EGRESS).monitor).toBe(128)
  })
})

describe('ICMP (facts 3.1, 3.4)', () => {
  test('an echo and its reply are one connection by the identifier', () => {
    const lab = datapathLab()
    const echo = (source: string, destination: string, type: number): Uint8Array =>
      frame(source, destination, { kind: 'icmp', type, rest: 0x0007_0001 })
    expect(pass(lab, echo(client, server, 8), EGRESS).status).toBe(ctStatus.NEW)
    expect(pass(lab, echo(server, client, 0), INGRESS).status).toBe(ctStatus.REPLY)
    expect(keysOf(lab.maps.cilium_ct_any4_global).map(entryText)).toContain(
      '0 proto 1 10.0.1.10:7 -> 10.0.2.20:0',
    )
  })

  test('an error finds the twin of a connection between both addresses', () => {
    const lab = datapathLab()
    pass(lab, fromClient(SYN), EGRESS)
    const error = frame(server, client, { kind: 'icmp', type: 3, code: 1 })
    expect(pass(lab, error, INGRESS).status).toBe(ctStatus.RELATED)
  })
})

describe('what conntrack refuses', () => {
  test.each([
    ['GRE', 47, drop.CT_UNKNOWN_PROTO],
    ['SCTP, which is off', 132, drop.CT_UNKNOWN_PROTO],
  ])('%s', (_, protocol, reason) => {
    const lab = datapathLab()
    const packet = frame(client, server, { kind: 'payload', bytes: new Uint8Array(20) })
    packet[23] = protocol
    expect(pass(lab, packet, EGRESS).status).toBe(reason)
  })

  test('a TCP header that is cut off', () => {
    const lab = datapathLab()
    expect(pass(lab, fromClient(SYN).slice(0, 36), EGRESS).status).toBe(drop.CT_INVALID_HDR)
  })

  test('extended protocols are tracked without ports where they are allowed', () => {
    const lab = datapathLab({ values: { enable_extended_ip_protocols: true } })
    const packet = frame(client, server, { kind: 'payload', bytes: new Uint8Array(20) })
    packet[23] = 47
    expect(pass(lab, packet, EGRESS).status).toBe(ctStatus.NEW)
  })
})

describe('fragments (facts 2.18)', () => {
  const datagram = (offset: number, more: boolean): Uint8Array => {
    const packet = frame(client, server, { kind: 'udp', source: 5000, destination: 53 })
    packet[18] = 0x12
    packet[20] = more ? 0x20 : 0
    packet[21] = offset
    return packet
  }

  test('the first leaves its ports to the later ones', () => {
    const lab = datapathLab()
    expect(pass(lab, datagram(0, true), EGRESS).status).toBe(ctStatus.NEW)
    expect(keysOf(lab.maps.cilium_ipv4_frag_datagrams)[0]).toEqual(
      Uint8Array.of(10, 0, 2, 20, 10, 0, 1, 10, 0x12, 0, 17, 0),
    )
    const later = datagram(100, false)
    later.fill(0xee, 34)
    expect(pass(lab, later, EGRESS).status).toBe(ctStatus.ESTABLISHED)
  })

  test('a later one that comes first is not found', () => {
    expect(pass(datapathLab(), datagram(100, false), EGRESS).status).toBe(drop.FRAG_NOT_FOUND)
  })

  test('without tracking later ones have no ports', () => {
    const lab = datapathLab({ defines: ['ENABLE_IPV4'] })
    expect(pass(lab, datagram(100, false), EGRESS).status).toBe(drop.FRAG_NOSUPPORT)
  })

  test('fragmented ICMP is invalid', () => {
    const packet = frame(client, server, { kind: 'icmp', type: 8, code: 0 })
    packet[20] = 0x20
    expect(pass(datapathLab(), packet, EGRESS).status).toBe(drop.INVALID)
  })
})

test('a reply is known by the entry of the other direction', () => {
  const lab = datapathLab()
  pass(lab, fromClient(SYN), INGRESS)
  const reply = packetTuple(server, client, 6)
  reply.dport = 80
  reply.sport = 40_000
  expect(lab.run(fromServer(ACK), (ctx) => ctIsReply(ctx, ctMapOf(ctx, reply), reply)).result).toBe(true)
})
