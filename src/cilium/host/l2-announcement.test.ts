import { describe, expect, test } from 'vitest'
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { tcContext } from '../../bpf/test-support/contexts.ts'
import { buildPacket } from '../../net/build.ts'
import { bytesToHex } from '../../net/hex.ts'
import { macFrom } from '../../net/mac.ts'
import { macBytesOf } from '../datapath/ethernet.ts'
import { readLe64, writeLe64 } from '../maps/ct-entry.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  frame,
  hex,
  ip,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfHost } from './bpf-host.ts'

const nodeMac = 0x0a00_0000_0001
const asker = 0x0a00_0000_0099
const vip = '192.168.0.200'
const vip6 = 'fd01::200'
const seconds = 1e9
const OK = 0
const REDIRECT = 7

function lab(alive: number | undefined = 990): DatapathLab {
  const on = datapathLab({
    defines: usualDefines,
    values: { enable_l2_announcements: true, router_ipv6: addressBytes('fd00:1::1') },
    object: { kind: 'bpf_host', interface_ifindex: 2, interface_mac: nodeMac, security_label: 1 },
  })
  const index = new Uint8Array(4)
  writeLe32(index, 0, 1)
  const time = new Uint8Array(8)
  writeLe64(time, 0, (alive ?? 0) * seconds)
  on.maps.cilium_runtime_config.update(index, time, 0, 0)
  return on
}

function announce(on: DatapathLab, address: string, ifindex = 2): () => number {
  const bytes = addressBytes(address)
  const key = new Uint8Array(bytes.length === 4 ? 8 : 24)
  key.set(bytes)
  writeLe32(key, bytes.length, ifindex)
  const map = bytes.length === 4 ? on.maps.cilium_l2_responder_v4 : on.maps.cilium_l2_responder_v6
  map.update(key, new Uint8Array(8), 0, 0)
  return () => readLe64(map.peek(key, 0) ?? new Uint8Array(8), 0)
}

const receive = (on: DatapathLab, packet: Uint8Array) =>
  on.runObject(bpfHost(on.node), 'cil_from_netdev', tcContext(packet, { nowNs: () => on.seconds * seconds }))

function whoHas(address: string): Uint8Array {
  const packet = new Uint8Array(42)
  packet.set(hex('ffffffffffff 0a0000000099 0806 0001 0800 06 04 0001 0a0000000099'))
  packet.set(addressBytes('192.168.0.99'), 28)
  packet.set(addressBytes(address), 38)
  return packet
}

describe('ARP (facts: row 28)', () => {
  test('for an announced address is answered with the MAC of the device', () => {
    const on = lab()
    const count = announce(on, vip)
    const { result, context, frame: sent } = receive(on, whoHas(vip))
    expect(result).toBe(REDIRECT)
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 2, ingress: false })
    expect(bytesToHex(sent)).toBe(
      '0a0000000099' +
        '0a0000000001' +
        '0806' +
        '0001080006040002' +
        '0a0000000001c0a800c8' +
        '0a0000000099c0a80063',
    )
    expect(count()).toBe(1)
  })

  test('for others goes to the stack, as on devices where the address is not announced', () => {
    const on = lab()
    const count = announce(on, vip, 3)
    expect(receive(on, whoHas(vip))).toMatchObject({ result: OK, frame: whoHas(vip) })
    expect(receive(on, whoHas('192.168.0.1')).result).toBe(OK)
    expect(count()).toBe(0)
  })

  test.each([
    [undefined, OK],
    [984, OK],
    [985, REDIRECT],
  ])('is answered only while the agent lives: seen at %s of 1000 seconds', (alive, expected) => {
    const on = lab(alive ?? 0)
    announce(on, vip)
    expect(receive(on, whoHas(vip)).result).toBe(expected)
  })
})

describe('neighbour solicitations', () => {
  function solicitation(address: string): Uint8Array {
    const target = addressBytes(address)
    const source = ip('fd01::99')
    const destination = ip('ff02::1:ff00:200')
    if (typeof source === 'number' || typeof destination === 'number') throw new Error('address')
    return buildPacket([
      { kind: 'eth', source: macFrom(asker), destination: macFrom(0x3333_ff00_0200) },
      { kind: 'ip6', source, destination },
      { kind: 'icmp6', type: 135, code: 0 },
      { kind: 'payload', bytes: Uint8Array.from([...target, 1, 1, ...macBytesOf(asker)]) },
    ])
  }

  test('for an announced address are answered', () => {
    const on = lab()
    const count = announce(on, vip6)
    const { result, frame: sent } = receive(on, solicitation(vip6))
    expect(result).toBe(REDIRECT)
    expect(bytesToHex(sent.subarray(0, 12))).toBe('0a00000000990a0000000001')
    expect(sent[54]).toBe(136)
    expect(bytesToHex(sent.subarray(62))).toBe(`${bytesToHex(addressBytes(vip6))}02010a0000000001`)
    expect(count()).toBe(1)
  })

  test('for others take the usual way', () => {
    const on = lab()
    announce(on, vip6, 3)
    expect(receive(on, solicitation(vip6)).result).toBe(OK)
  })

  test('other packets do too', () => {
    const on = lab()
    announce(on, vip6)
    const packet = frame('fd01::99', vip6, { kind: 'icmp6', type: 128, code: 0 })
    expect(receive(on, packet).result).toBe(OK)
  })
})
