import { describe, expect, test } from 'vitest'
import { readU16, readU32 } from '../../net/bytes.ts'
import { bytesToHex } from '../../net/hex.ts'
import { serviceFlag } from '../maps/service.ts'
import { putService } from '../test-support/entries.ts'
import { addressBytes } from '../test-support/lab.ts'
import { dsrEncapMode, tunnelProtocol } from './config.ts'
import {
  at4,
  client,
  client6,
  flags,
  icmp6Sum,
  ipSum,
  lab,
  node,
  node6,
  packet,
  packet6,
  pod,
  pod6,
  SYN,
  sum,
  TC_ACT_REDIRECT,
  TC_ACT_SHOT,
  tc,
  text,
  XDP_PASS,
  XDP_TX,
  xdp,
} from './nodeport-dsr.test-helper.ts'

describe('a packet that grows too large', () => {
  const errors = 'ENABLE_DSR_ICMP_ERRORS'

  test('without answers it is sent all the same', () => {
    expect(xdp(lab('bpf_xdp'), packet(SYN, 1460)).frame).toHaveLength(14 + 1500 + 8)
  })

  test.each(['XDP', 'tc'])('in %s its sender learns the size that fits', (where) => {
    const bytes = packet(SYN, 1460)
    const run =
      where === 'XDP' ? xdp(lab('bpf_xdp', {}, errors), bytes) : tc(lab('bpf_host', {}, errors), bytes)
    expect(run.result).toBe(where === 'XDP' ? XDP_TX : TC_ACT_REDIRECT)
    const { frame: sent } = run
    expect(sent).toHaveLength(14 + 20 + 8 + 28)
    expect(sent.subarray(0, 12)).toEqual(Uint8Array.from([...bytes.subarray(6, 12), ...bytes.subarray(0, 6)]))
    expect([at4(sent, 26), at4(sent, 30), ipSum(sent)]).toEqual([pod, client, 0xffff])
    expect([sent[34], sent[35], readU16(sent, 40), sum(sent.subarray(34))]).toEqual([3, 4, 1492, 0xffff])
    // it quotes what was sent
    expect(sent.subarray(42)).toEqual(bytes.subarray(14, 14 + 28))
  })

  test.each([
    [dsrEncapMode.GENEVE, 1500 - 62],
    [dsrEncapMode.IPIP, 1480],
  ])('in mode %i the overhead is another', (mode, mtu) => {
    const values = { DSR_ENCAP_MODE: mode, TUNNEL_PROTOCOL: tunnelProtocol.geneve, TUNNEL_PORT: 6081 }
    const { frame: sent } = xdp(lab('bpf_xdp', values, errors), packet(SYN, 1460))
    expect(readU16(sent, 40)).toBe(mtu)
  })

  test('IPv6: Packet Too Big', () => {
    const bytes = packet6(SYN, 1440)
    const { result, frame: sent } = xdp(lab('bpf_xdp', {}, errors), bytes)
    expect(result).toBe(XDP_TX)
    expect(sent).toHaveLength(14 + 40 + 8 + 40 + 64)
    expect(text(sent, 22, 32)).toBe(
      bytesToHex(Uint8Array.from([...addressBytes(pod6), ...addressBytes(client6)])),
    )
    expect([sent[54], sent[55], readU32(sent, 58), icmp6Sum(sent)]).toEqual([2, 0, 1500 - 24, 0xffff])
    expect(sent.subarray(62, 62 + 44)).toEqual(bytes.subarray(14, 14 + 44))
  })
})

describe('a service without a backend', () => {
  const port = 30_081

  test('answers that the port is unreachable', () => {
    const bytes = packet(SYN, 0, port)
    const { result, frame: sent } = xdp(lab('bpf_xdp'), bytes)
    expect(result).toBe(XDP_TX)
    expect([at4(sent, 26), at4(sent, 30), sent[34], sent[35]]).toEqual([node, client, 3, 3])
    expect([ipSum(sent), sum(sent.subarray(34))]).toEqual([0xffff, 0xffff])
    expect(sent.subarray(42, 42 + 40)).toEqual(bytes.subarray(14))
  })

  test.each(['XDP', 'tc'])('in %s over IPv6 too', (where) => {
    const bytes = packet6(SYN, 0, port)
    const run = where === 'XDP' ? xdp(lab('bpf_xdp'), bytes) : tc(lab('bpf_host'), bytes)
    expect(run.result).toBe(where === 'XDP' ? XDP_TX : TC_ACT_REDIRECT)
    const { frame: sent } = run
    expect(text(sent, 22, 32)).toBe(
      bytesToHex(Uint8Array.from([...addressBytes(node6), ...addressBytes(client6)])),
    )
    expect([sent[54], sent[55], icmp6Sum(sent)]).toEqual([1, 4, 0xffff])
    expect(sent.subarray(62, 62 + 60)).toEqual(bytes.subarray(14))
  })

  test('over IPv6 every second 128 bytes of a longer quotation are not summed', () => {
    const bytes = packet6(SYN, 300, port)
    bytes.fill(7, 14 + 60)
    const { frame: sent } = xdp(lab('bpf_xdp'), bytes)
    expect(sent.subarray(62, 62 + 360)).toEqual(bytes.subarray(14))
    expect(icmp6Sum(sent)).not.toBe(0xffff)
    expect(icmp6Sum(sent.slice().fill(0, 62 + 128, 62 + 256))).toBe(0xffff)
  })

  test('drops where it is told to', () => {
    const on = lab('bpf_xdp', { enable_no_service_endpoints_routable: false })
    // without a local scope the stack decides
    expect(xdp(on, packet(SYN, 0, port)).result).toBe(XDP_PASS)
    putService(on.maps, {
      address: node,
      port,
      revNatIndex: 5,
      flags: flags | serviceFlag.EXT_LOCAL_SCOPE,
      backends: [],
    })
    expect(tc(on, packet(SYN, 0, port)).result).toBe(TC_ACT_SHOT)
  })
})
