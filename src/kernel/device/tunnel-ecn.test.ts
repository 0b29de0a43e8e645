import { expect, test } from 'vitest'
import { ipv4From, parseIp } from '../../net/address.ts'
import { ipv4At, writeIpv4Checksum } from '../../net/ipv4.ts'
import { etherType } from '../../net/protocol.ts'
import { connInfo, connStatus, zoneTemplate } from '../conntrack/connection.ts'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { Skb } from '../skb.ts'
import { addDummy } from './dummy.ts'
import { icmpNdoSend } from './icmp-ndo-send.ts'
import { ecnDecap, ecnDecapCe, innerTos } from './tunnel-ecn.ts'

function packet(tos: number): Skb {
  const ns = addNamespace(createMachine({ seed: 1, trace: { full: false } }), { name: 'A' })
  const bytes = new Uint8Array(28)
  bytes.set([0x45, tos, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
  writeIpv4Checksum(bytes, 0)
  const skb = new Skb(addDummy(ns, { name: 'd0' }), bytes, 0, bytes.length)
  skb.networkHeader = 0
  skb.protocol = etherType.ipv4
  return skb
}

// RFC 6040, figure 4, asked of Linux 6.18 with vxlan: rows are the inner header, columns the outer one, both as Not-ECT, ECT(1), ECT(0), CE.
test.each([
  [0, [0, 0, 0, undefined]],
  [1, [1, 1, 1, 3]],
  [2, [2, 1, 2, 3]],
  [3, [3, 3, 3, 3]],
])('INET_ECN_decapsulate() with %i inside', (inner, expected) => {
  const dscp = 0x28
  const found = [0, 1, 2, 3].map((outer) => {
    const skb = packet(dscp | inner)
    const kept = ecnDecap(skb, outer)
    const sum = skb.bytes.slice(ipv4At.checksum, ipv4At.checksum + 2)
    writeIpv4Checksum(skb.bytes, 0)
    expect(sum).toEqual(skb.bytes.slice(ipv4At.checksum, ipv4At.checksum + 2))
    expect(innerTos(skb) & 0xfc).toBe(dscp)
    return kept ? innerTos(skb) & 3 : undefined
  })
  expect(found).toEqual(expected)
})

test.each([
  [0, [0, 0, 0, 0]],
  [1, [1, 1, 1, 3]],
  [2, [2, 2, 2, 3]],
  [3, [3, 3, 3, 3]],
])('ipip_ecn_decapsulate() of xfrm with %i inside', (inner, expected) => {
  const found = [0, 1, 2, 3].map((outer) => {
    const skb = packet(inner)
    ecnDecapCe(skb, outer)
    return innerTos(skb)
  })
  expect(found).toEqual(expected)
})

test('icmp_ndo_send() quotes the source that NAT has replaced, and leaves the packet as it was', () => {
  const skb = packet(0)
  const before = skb.bytes.slice()
  const source = ipv4From(parseIp('192.168.1.7') as number)
  const flow = zoneTemplate(0)
  skb.nfct = { ...flow, original: { ...flow.original, source }, status: connStatus.sourceNat }
  skb.nfctInfo = connInfo.new
  const quoted: string[] = []
  skb.dev.ns.ip.stack.sendError = ({ bytes }) => {
    quoted.push([...bytes.subarray(12, 16)].join('.'))
  }
  const told = { type: 3, code: 1, info: 0 }
  icmpNdoSend(skb, { four: told, six: told })
  skb.nfct = { ...skb.nfct, status: 0 }
  icmpNdoSend(skb, { four: told, six: told })
  expect(quoted).toEqual(['192.168.1.7', '10.0.0.1'])
  expect(skb.bytes).toEqual(before)
})
