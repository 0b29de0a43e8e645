import { describe, expect, test } from 'vitest'
import { readU16 } from '../../net/bytes.ts'
import { bytesToHex } from '../../net/hex.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { putIpcache } from '../test-support/entries.ts'
import { addressBytes, frame, keysOf } from '../test-support/lab.ts'
import { dsrEncapMode, type NodeValues, tunnelProtocol } from './config.ts'
import { drop } from './drop-reason.ts'
import { encapGeneve } from './dsr-geneve.ts'
import { ipv4 } from './family.ts'
import {
  ACK,
  at4,
  client,
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
  tc,
  text,
  there,
  XDP_DROP,
  XDP_PASS,
  XDP_TX,
  xdp,
} from './nodeport-dsr.test-helper.ts'

describe('DSR with an IP option (facts: services 4.7, 4.9)', () => {
  test.each(['XDP', 'tc'])('in %s a SYN says the service', (where) => {
    const run = where === 'XDP' ? xdp(lab('bpf_xdp'), packet()) : tc(lab('bpf_host'), packet())
    expect(run.result).toBe(where === 'XDP' ? XDP_TX : TC_ACT_REDIRECT)
    const { frame: sent } = run
    expect(text(sent, 34, 8)).toBe('9a088075010a000a')
    expect([sent[14], readU16(sent, 16), sent[22]]).toEqual([0x47, 48, 63])
    expect([at4(sent, 26), at4(sent, 30), ipSum(sent)]).toEqual([client, pod, 0xffff])
    expect([readU16(sent, 42), readU16(sent, 44)]).toEqual([40_001, 8080])
  })

  test('later packets say nothing', () => {
    const { frame: sent } = xdp(lab('bpf_xdp'), packet(ACK))
    expect([sent[14], at4(sent, 26), at4(sent, 30)]).toEqual([0x45, client, pod])
  })

  test('the node of the backend remembers the service: an IPv4 address is the last word of nat_addr', () => {
    const { frame: sent } = tc(lab('bpf_host'), packet())
    const on = lab('bpf_host')
    tc(on, sent)
    const [entry] = keysOf(on.maps.cilium_ct4_global)
      .map((key) => new CtEntry(on.maps.cilium_ct4_global.lookup(key, 0) ?? new Uint8Array()))
      .filter((each) => each.is('dsr_internal'))
    expect(bytesToHex(entry?.natAddress ?? new Uint8Array())).toBe(`${'00'.repeat(12)}0a000a01`)
    expect(entry?.natPort).toBe(30_080)
  })

  test('IPv6 has a destination option', () => {
    const { result, frame: sent } = xdp(lab('bpf_xdp'), packet6())
    expect(result).toBe(XDP_TX)
    expect([sent[20], readU16(sent, 18)]).toEqual([60, 44])
    expect(text(sent, 54, 24)).toBe(`06021b14${'fd010000000000000000000000000001'}75800000`)
    expect(readU16(sent, 80)).toBe(8080)
    expect(text(xdp(lab('bpf_xdp'), packet6(ACK)).frame, 20, 1)).toBe('06')
  })
})

describe('DSR over Geneve', () => {
  const values: Partial<NodeValues> = {
    DSR_ENCAP_MODE: dsrEncapMode.GENEVE,
    TUNNEL_PROTOCOL: tunnelProtocol.geneve,
    TUNNEL_PORT: 6081,
  }
  const option4 = '014b81020a000a0175800000'

  test('in tc the tunnel device gets the option', () => {
    const { result, context, frame: sent } = tc(lab('bpf_host', values), packet())
    expect(result).toBe(TC_ACT_REDIRECT)
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 13, ingress: false })
    const key = context.skb?.tunnelKey
    expect(key).toMatchObject({ id: 2, remote: 0x0a00_0a02, ttl: 64 })
    expect(bytesToHex(key?.options ?? new Uint8Array())).toBe(option4)
    expect([at4(sent, 26), at4(sent, 30)]).toEqual([client, pod])
    expect(tc(lab('bpf_host', values), packet(ACK)).context.skb?.tunnelKey?.options ?? []).toHaveLength(0)
  })

  test('in tc ports are not read again, so that no fragment is noted a second time', () => {
    const on = lab('bpf_host', values)
    const first = frame(client, node, { kind: 'udp', source: 40_001, destination: 30_080 })
    first[20] = 0x20
    const noted = (): number => keysOf(on.maps.cilium_ipv4_frag_datagrams).length
    const service = { address: addressBytes(node), port: 30_080 }
    on.run(first, (ctx) => encapGeneve(ctx, ipv4, 14, service))
    expect(noted()).toBe(0)
    on.runXdp(first, (ctx) => encapGeneve(ctx, ipv4, 14, service))
    expect(noted()).toBe(1)
  })

  test('in XDP a UDP header may end behind its ports where they are not those of the tunnel', () => {
    const short = (destination: number): Uint8Array =>
      frame(client, '10.0.10.99', { kind: 'udp', source: 40_001, destination }).slice(0, 39)
    expect(xdp(lab('bpf_xdp', values), short(53)).result).toBe(XDP_PASS)
    expect(xdp(lab('bpf_xdp', values), short(6081)).result).toBe(XDP_DROP)
  })

  test('in XDP the outer header is written', () => {
    const { result, frame: sent } = xdp(lab('bpf_xdp', values), packet())
    expect(result).toBe(XDP_TX)
    expect([at4(sent, 26), at4(sent, 30), sent[22], ipSum(sent)]).toEqual([node, there, 63, 0xffff])
    expect([readU16(sent, 36), readU16(sent, 38), readU16(sent, 40)]).toEqual([6081, 8 + 8 + 12 + 54, 0])
    expect(text(sent, 42, 8)).toBe('0300655800000200')
    expect(text(sent, 50, 12)).toBe(option4)
    expect([at4(sent, 62 + 26), at4(sent, 62 + 30)]).toEqual([client, pod])
  })

  /** A packet from another node, through the tunnel. */
  function tunnelled(inner: Uint8Array): Uint8Array {
    const headers = xdp(lab('bpf_xdp', values), packet(ACK)).frame.subarray(0, 50)
    const arriving = Uint8Array.from([...headers, ...inner])
    arriving.set([...addressBytes('10.0.10.3'), ...addressBytes(node)], 26)
    arriving.set([0, 0], 24)
    const check = 0xffff - sum(arriving.subarray(14, 34))
    arriving.set([check >> 8, check & 0xff], 24)
    return arriving
  }

  test('in XDP a packet from the tunnel goes on in its header', () => {
    const inner = frame(client, pod, { kind: 'tcp', source: 40_001, destination: 8080, flags: SYN })
    const { result, frame: sent } = lab('bpf_xdp', values).runXdp(tunnelled(inner), (ctx) =>
      encapGeneve(ctx, ipv4, 64, { address: addressBytes(node), port: 30_080 }),
    )
    expect(result).toBe(4)
    expect([at4(sent, 26), at4(sent, 30), ipSum(sent)]).toEqual([node, there, 0xffff])
    expect([readU16(sent, 16), readU16(sent, 38)]).toEqual([20 + 8 + 8 + 12 + 54, 8 + 8 + 12 + 54])
    expect(text(sent, 42, 20)).toBe(`0300655800000200${option4}`)
    expect(sent.subarray(62)).toEqual(inner)
  })

  test('which it never comes to: the ports are read from the outer header', () => {
    const arriving = tunnelled(packet())
    const { result, frame: sent } = xdp(lab('bpf_xdp', values), arriving)
    expect([result, sent]).toEqual([2, arriving])
  })

  test('without a tunnel to the backend the packet is dropped', () => {
    const on = lab('bpf_host', values)
    putIpcache(on.maps, pod, { identity: 6001 })
    const reasons: number[] = []
    on.maps.cilium_events.onRecord = (record) => {
      if (record[0] === 1) reasons.push(-(record[1] as number))
    }
    tc(on, packet())
    expect(reasons).toEqual([drop.NO_TUNNEL_ENDPOINT])
  })

  test('IPv6 goes through the IPv4 tunnel', () => {
    const { result, frame: sent } = xdp(lab('bpf_xdp', values), packet6())
    expect(result).toBe(XDP_TX)
    expect([readU16(sent, 12), at4(sent, 30), sent[22]]).toEqual([0x0800, there, 64])
    expect(text(sent, 50, 24)).toBe('014b8105fd01000000000000000000000000000175800000')
  })
})

describe('DSR over IPIP', () => {
  const values: Partial<NodeValues> = {
    DSR_ENCAP_MODE: dsrEncapMode.IPIP,
    ENCAP4_IFINDEX: 14,
    ENCAP6_IFINDEX: 15,
  }

  test('in tc the tunnel device gets the backend, the packet stays as it was', () => {
    const { result, context, frame: sent } = tc(lab('bpf_host', values), packet())
    expect(result).toBe(TC_ACT_REDIRECT)
    expect(context.redirect).toEqual({ kind: 'device', ifindex: 14, ingress: false })
    expect(context.skb?.tunnelKey).toMatchObject({ id: 0, remote: 0x0af4_0214, ttl: 64 })
    expect(sent).toEqual(packet())
  })

  test('in XDP the outer header is written', () => {
    const { result, frame: sent } = xdp(lab('bpf_xdp', values), packet())
    expect(result).toBe(XDP_TX)
    expect([sent[23], sent[22], at4(sent, 26), at4(sent, 30)]).toEqual([4, 63, node, pod])
    expect([readU16(sent, 16), ipSum(sent)]).toEqual([60, 0xffff])
    expect(sent.subarray(34)).toEqual(packet().subarray(14))
  })

  test('the outer source comes out of the prefix', () => {
    const prefix = { address: addressBytes('10.9.0.0'), length: 16 }
    const on = lab('bpf_xdp', { ...values, IPV4_RSS_PREFIX: prefix })
    const { frame: sent } = xdp(on, packet())
    expect(at4(sent, 26)).toMatch(/^10\.9\./)
    expect(at4(sent, 26)).not.toBe('10.9.0.0')
    expect(ipSum(sent)).toBe(0xffff)
  })

  test('IPv6', () => {
    const { frame: sent } = xdp(lab('bpf_xdp', values), packet6())
    expect([sent[20], sent[21], readU16(sent, 18)]).toEqual([41, 64, 60])
    expect(text(sent, 22, 32)).toBe(
      bytesToHex(Uint8Array.from([...addressBytes(node6), ...addressBytes(pod6)])),
    )
    expect(sent.subarray(54)).toEqual(packet6().subarray(14))
  })
})
