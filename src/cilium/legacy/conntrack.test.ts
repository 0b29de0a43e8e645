// Facts 3: what 1.10's conntrack does otherwise than that of 1.19.
import { describe, expect, test } from 'vitest'
import { ctDirection } from '../datapath/ct-state.ts'
import { tcpFlag } from '../datapath/ct-update.ts'
import { drop } from '../datapath/drop-reason.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  entryText,
  frame,
  keysOf,
  packetTuple,
} from '../test-support/lab.ts'
import { ctCreate, ctLookup } from './conntrack.ts'
import { LegacyCtEntry } from './ct-entry.ts'
import { type CtState, ctStatus, newCtState } from './ct-state.ts'

const { EGRESS, INGRESS, SERVICE } = ctDirection
const { NEW, ESTABLISHED, REPLY, RELATED, REOPENED } = ctStatus
const { SYN, FIN, RST, ACK } = tcpFlag
const pod = '10.0.1.10'
const peer = '10.0.2.20'
const l4Offset = 34
const payload = 128
const mtu = 1500

const lab = (): DatapathLab => datapathLab({ legacy: true })

function tcp(source: string, sport: number, destination: string, dport: number, flags: number): Uint8Array {
  const bytes = frame(source, destination, { kind: 'tcp', source: sport, destination: dport })
  bytes[l4Offset + 13] = flags
  return bytes
}

/** What a lookup of a packet says; with `create` an unknown one becomes known. */
function look(on: DatapathLab, packet: Uint8Array, direction: 0 | 1 | 2 = EGRESS, create = false) {
  const state = newCtState()
  const { result } = on.run(packet, (ctx) => {
    const protocol = packet[23] as number
    const address = (at: number): string => [...packet.subarray(at, at + 4)].join('.')
    const tuple = packetTuple(address(26), address(30), protocol)
    const found = ctLookup(ctx, tuple, l4Offset, direction, state)
    if (create) ctCreate(ctx, tuple, { direction, state: { ...newCtState(), srcSecId: 7 }, related: true })
    return found
  })
  return { ...result, state }
}

function entryOf(on: DatapathLab, index = 0): LegacyCtEntry {
  const map = on.maps.cilium_ct4_global
  return new LegacyCtEntry(map.lookup(keysOf(map)[index] as Uint8Array, 0) as Uint8Array)
}

const out = (flags: number): Uint8Array => tcp(pod, 40_000, peer, 80, flags)
const back = (flags: number): Uint8Array => tcp(peer, 80, pod, 40_000, flags)

describe('counters', () => {
  test('stand for each direction', () => {
    const on = lab()
    expect(look(on, out(SYN), EGRESS, true)).toMatchObject({ status: NEW, monitor: payload })
    expect(look(on, back(SYN | ACK), INGRESS)).toMatchObject({ status: REPLY })
    expect(look(on, out(ACK)).status).toBe(ESTABLISHED)
    const { txPackets, txBytes, rxPackets, srcSecId } = entryOf(on)
    expect({ txPackets, txBytes, rxPackets, srcSecId }).toEqual({
      txPackets: 2,
      txBytes: 2 * 54,
      rxPackets: 1,
      srcSecId: 7,
    })
  })

  test('the twin for ICMP errors has them, too, and has seen no SYN', () => {
    const on = lab()
    look(on, out(SYN), EGRESS, true)
    const map = on.maps.cilium_ct_any4_global
    const [key] = keysOf(map) as [Uint8Array]
    expect(entryText(key)).toBe('2 proto 1 10.0.1.10:0 -> 10.0.2.20:0')
    const twin = new LegacyCtEntry(map.lookup(key, 0) as Uint8Array)
    expect([twin.txPackets, twin.txBytes, twin.is('seen_non_syn')]).toEqual([1, 54, true])
    const error = frame(peer, pod, { kind: 'icmp', type: 3, code: 1, rest: 0 })
    expect(look(on, error, INGRESS).status).toBe(RELATED)
  })
})

describe('a closing entry', () => {
  test('is reopened by a SYN, and keeps what it knows', () => {
    const on = lab()
    look(on, out(SYN), EGRESS, true)
    look(on, out(ACK))
    expect(look(on, out(FIN | ACK)).monitor).toBe(payload)
    look(on, back(FIN | ACK), INGRESS)
    expect(entryOf(on).is('tx_closing')).toBe(true)
    expect(look(on, out(SYN)).status).toBe(REOPENED)
    const entry = entryOf(on)
    expect([entry.is('tx_closing'), entry.is('seen_non_syn'), entry.lifetime]).toEqual([
      false,
      true,
      1000 + 8000,
    ])
  })

  test('an RST closes both directions for ten seconds', () => {
    const on = lab()
    look(on, out(SYN), EGRESS, true)
    look(on, out(RST))
    const entry = entryOf(on)
    expect([entry.is('rx_closing'), entry.is('tx_closing'), entry.lifetime]).toEqual([true, true, 1010])
  })

  test('of a service closes one direction only', () => {
    const on = lab()
    look(on, out(SYN), SERVICE, true)
    look(on, out(RST), SERVICE)
    expect([entryOf(on).is('rx_closing'), entryOf(on).is('tx_closing')]).toEqual([false, true])
  })
})

describe('what a lookup says', () => {
  test('packets to port 53 are captured whole', () => {
    const on = lab()
    const query = frame(pod, peer, { kind: 'udp', source: 40_000, destination: 53 })
    expect(look(on, query, EGRESS, true).monitor).toBe(mtu)
    expect(look(on, query).monitor).toBe(mtu)
  })

  test.each([
    ['an echo of a fragment is still an echo', { kind: 'icmp', type: 8, code: 0, rest: 0x0005_0000 }, NEW],
    ['another protocol is unknown', { kind: 'payload', bytes: new Uint8Array(20) }, drop.CT_UNKNOWN_PROTO],
  ] as const)('%s', (_name, layer, status) => {
    const on = lab()
    const packet = frame(pod, peer, layer)
    if (layer.kind === 'payload') packet[23] = 47
    expect(look(on, packet).status).toBe(status)
  })

  test('a later fragment finds the ports of the first', () => {
    const on = lab()
    const first = frame(pod, peer, { kind: 'udp', source: 40_000, destination: 80 })
    first.set([0x12, 0x34, 0x20, 0x00], 18)
    const later = first.slice()
    later.set([0x00, 0x01], 20)
    expect(look(on, later).status).toBe(drop.FRAG_NOT_FOUND)
    look(on, first, EGRESS, true)
    expect(look(on, later).status).toBe(ESTABLISHED)
  })

  test('a truncated header: the errno of the helper becomes the reason', () => {
    expect(look(lab(), out(SYN).slice(0, 36)).status).toBe(-14)
  })

  test('the state of the entry comes back', () => {
    const on = lab()
    const stored: CtState = { ...newCtState(), revNatIndex: 4, nodePort: true, dsr: true, ifindex: 9 }
    on.run(out(SYN), (ctx) => {
      const tuple = packetTuple(pod, peer, 6)
      ctLookup(ctx, tuple, l4Offset, EGRESS, newCtState())
      return ctCreate(ctx, tuple, { direction: EGRESS, state: stored, related: false, proxyRedirect: true })
    })
    expect(look(on, out(ACK)).state).toEqual({ ...stored, proxyRedirect: true })
  })
})

test('a hairpin connection has a second entry, from the loopback address to the pod', () => {
  const on = lab()
  const state: CtState = {
    ...newCtState(),
    loopback: true,
    address: addressBytes('169.254.42.1'),
    serviceAddress: addressBytes(pod),
  }
  on.run(tcp(pod, 40_000, '10.96.0.30', 8080, SYN), (ctx) => {
    const tuple = packetTuple(pod, '10.96.0.30', 6)
    ctLookup(ctx, tuple, l4Offset, EGRESS, newCtState())
    return ctCreate(ctx, tuple, { direction: EGRESS, state, related: false })
  })
  expect(keysOf(on.maps.cilium_ct4_global).map(entryText).sort()).toEqual([
    '0 proto 6 10.0.1.10:40000 -> 10.96.0.30:8080',
    '1 proto 6 169.254.42.1:40000 -> 10.0.1.10:8080',
  ])
})
