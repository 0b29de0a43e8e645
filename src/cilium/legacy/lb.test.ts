import { describe, expect, test } from 'vitest'
import { ctDirection } from '../datapath/ct-state.ts'
import { drop } from '../datapath/drop-reason.ts'
import { type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { checksumOffset } from '../datapath/l4.ts'
import { newTuple } from '../datapath/packet-tuple.ts'
import { serviceFlag } from '../maps/service.ts'
import { putLegacyService, type TestService } from '../test-support/entries.ts'
import { addressBytes, type DatapathLab, datapathLab, frame } from '../test-support/lab.ts'
import { newCtState } from './ct-state.ts'
import { walkHeaders } from './headers.ts'
import { lbExtractKey, lbLookupService, lbReverseNat, newServiceKey } from './lb.ts'

const pod = '10.0.1.10'
const vip = '10.96.0.10'
const backends = [{ id: 1, address: '10.0.2.12', port: 8080 }]
const web: TestService = { address: vip, port: 80, revNatIndex: 5, backends }
const lab = (): DatapathLab => datapathLab({ legacy: true })

/** The key of a packet, or a drop reason. */
function keyOf(on: DatapathLab, packet: Uint8Array, family: Family = ipv4) {
  return on.run(packet, (ctx) => {
    const walk = walkHeaders(ctx, family, 14)
    if (typeof walk === 'number') return walk
    const tuple = newTuple(ctx, family, 14, walk.nexthdr)
    const key = newServiceKey(tuple)
    const failed = lbExtractKey(ctx, tuple, 14 + walk.length, ctDirection.EGRESS, key)
    return failed < 0 ? failed : { address: key.address, dport: key.dport, protocol: key.protocol }
  }).result
}

describe('the key of a packet', () => {
  test('has address and port of the destination, and no protocol', () => {
    const udp = { kind: 'udp', source: 40_000, destination: 53 } as const
    const key = { address: addressBytes(vip), dport: 53, protocol: 0 }
    expect(keyOf(lab(), frame(pod, vip, udp))).toEqual(key)
    const six = { ...key, address: addressBytes('fd00:2::10') }
    expect(keyOf(lab(), frame('fd00:1::10', 'fd00:2::10', udp), ipv6)).toEqual(six)
  })

  test.each([
    ['ICMP', 1, drop.NO_SERVICE],
    ['ICMPv6, which in IPv4 nobody sends', 58, drop.NO_SERVICE],
    ['SCTP', 132, drop.UNKNOWN_L4],
  ])('%s has none', (_, protocol, reason) => {
    const packet = frame(pod, vip, { kind: 'icmp', type: 8, code: 0, rest: 1 })
    packet[23] = protocol
    expect(keyOf(lab(), packet)).toBe(reason)
  })

  test('of a packet without ports: the errno of the helper', () => {
    const packet = frame(pod, vip, { kind: 'udp', source: 40_000, destination: 53 }).slice(0, 36)
    expect(keyOf(lab(), packet)).toBe(-14)
  })
})

describe('a service', () => {
  const found = (on: DatapathLab, scopeSwitch: boolean) =>
    on.run(frame(pod, vip, { kind: 'tcp', source: 40_000, destination: 80 }), (ctx) => {
      const tuple = newTuple(ctx, ipv4, 14, 6)
      const key = newServiceKey(tuple)
      lbExtractKey(ctx, tuple, 34, ctDirection.EGRESS, key)
      return lbLookupService(ctx, key, scopeSwitch)?.count
    }).result

  test('without backends is none', () => {
    const on = lab()
    putLegacyService(on.maps, { ...web, backends: [] })
    expect(found(on, true)).toBe(undefined)
    putLegacyService(on.maps, web)
    expect(found(on, true)).toBe(1)
  })

  test('with backends of this node for others has those of all nodes for pods', () => {
    const on = lab()
    const both = [...backends, { id: 2, address: '10.0.2.13', port: 8080 }]
    putLegacyService(on.maps, { ...web, flags: serviceFlag.EXT_LOCAL_SCOPE, backends: [] })
    putLegacyService(on.maps, { ...web, flags: serviceFlag.EXT_LOCAL_SCOPE, scope: 1, backends: both })
    expect([found(on, false), found(on, true)]).toEqual([undefined, 2])
  })
})

describe("a service's reply", () => {
  const client = '203.0.113.7'
  const reply = (from: string, port: number, to = client): Uint8Array =>
    frame(from, to, { kind: 'tcp', source: port, destination: 40_000 })

  function back(packet: Uint8Array, options: { readonly loopback?: boolean; readonly revNatIndex?: number }) {
    const on = datapathLab({ legacy: true })
    putLegacyService(on.maps, web)
    putLegacyService(on.maps, { ...web, address: 'fd00:2::10', revNatIndex: 6, backends: [] })
    const family = packet[12] === 0x08 ? ipv4 : ipv6
    return on.run(packet, (ctx) => {
      const tuple = newTuple(ctx, family, 14, 6)
      const state = { ...newCtState(), revNatIndex: 5, ...options }
      const l4Offset = 14 + family.headerBytes
      const place = { l4Offset, checksum: checksumOffset(6), hasL4Header: true, tupleSource: true }
      return lbReverseNat(ctx, tuple, place, state)
    })
  }

  test('has its address and port', () => {
    const { result, frame: sent } = back(reply('10.0.2.12', 8080), {})
    expect(result).toBe(0)
    expect(sent).toEqual(reply(vip, 80))
  })

  test('of IPv6, too', () => {
    const { frame: sent } = back(reply('fd00:1::12', 8080, '2001:db8::7'), { revNatIndex: 6 })
    expect(sent).toEqual(reply('fd00:2::10', 80, '2001:db8::7'))
  })

  test('of a hairpin connection goes to the pod that sent it', () => {
    const { frame: sent } = back(reply('10.0.1.10', 8080, '169.254.42.1'), { loopback: true })
    expect(sent).toEqual(reply(vip, 80, '10.0.1.10'))
  })

  test('without an entry stays as it is', () => {
    const packet = reply('10.0.2.12', 8080)
    const { result, frame: sent } = back(packet, { revNatIndex: 9 })
    expect([result, sent]).toEqual([0, packet])
  })
})
