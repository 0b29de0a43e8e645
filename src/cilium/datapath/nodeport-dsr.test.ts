import { describe, expect, test } from 'vitest'
import { tcContext, xdpContext } from '../../bpf/test-support/contexts.ts'
import { readU16, readU32 } from '../../net/bytes.ts'
import { foldSum } from '../../net/checksum.ts'
import { bytesToHex } from '../../net/hex.ts'
import { bpfHost } from '../host/bpf-host.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { serviceFlag } from '../maps/service.ts'
import { putIpcache, putService } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  frame,
  keysOf,
  routeTo,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfXdp } from '../xdp/bpf-xdp.ts'
import { dsrEncapMode, type NodeValues, tunnelProtocol } from './config.ts'
import type { Define } from './defines.ts'
import { drop } from './drop-reason.ts'
import { encapGeneve } from './dsr-geneve.ts'
import { ipv4 } from './family.ts'

const flags = serviceFlag.NODEPORT | serviceFlag.ROUTABLE
const client = '203.0.113.7'
const node = '10.0.10.1'
const pod = '10.244.2.20'
const there = '10.0.10.2'
const client6 = '2001:db8::7'
const node6 = 'fd01::1'
const pod6 = 'fd00:2::20'
const XDP_DROP = 1
const XDP_PASS = 2
const XDP_TX = 3
const TC_ACT_REDIRECT = 7
const SYN = 2
const ACK = 16

function lab(
  kind: 'bpf_host' | 'bpf_xdp',
  values: Partial<NodeValues> = {},
  ...defines: readonly Define[]
): DatapathLab {
  const on = datapathLab({
    defines: [
      ...usualDefines,
      'SERVICE_NO_BACKEND_RESPONSE',
      'ENABLE_NODEPORT_ACCELERATION',
      'HAVE_ENCAP',
      'ENABLE_DSR',
      ...defines,
    ],
    values: {
      ENCAP_IFINDEX: 13,
      IPV4_DIRECT_ROUTING: addressBytes(node),
      IPV6_DIRECT_ROUTING: addressBytes(node6),
      ...values,
    },
    object: { kind, interface_ifindex: 2, security_label: kind === 'bpf_host' ? 1 : 0, endpoint_id: 0 },
  })
  const backend = (address: string, id: number) => [{ id, address, port: 8080 }]
  putService(on.maps, { address: node, port: 30_080, revNatIndex: 4, flags, backends: backend(pod, 1) })
  putService(on.maps, { address: node6, port: 30_080, revNatIndex: 6, flags, backends: backend(pod6, 2) })
  putService(on.maps, { address: node, port: 30_081, revNatIndex: 5, flags, backends: [] })
  putService(on.maps, { address: node6, port: 30_081, revNatIndex: 7, flags, backends: [] })
  putIpcache(on.maps, pod, { identity: 6001, tunnel: there })
  putIpcache(on.maps, pod6, { identity: 6001, tunnel: there })
  return on
}

const packet = (tcpFlags = SYN, payload = 0, port = 30_080): Uint8Array =>
  frame(
    client,
    node,
    { kind: 'tcp', source: 40_001, destination: port, flags: tcpFlags },
    { kind: 'payload', bytes: new Uint8Array(payload) },
  )
const packet6 = (tcpFlags = SYN, payload = 0, port = 30_080): Uint8Array =>
  frame(
    client6,
    node6,
    { kind: 'tcp', source: 40_001, destination: port, flags: tcpFlags },
    { kind: 'payload', bytes: new Uint8Array(payload) },
  )

const sameDevice = routeTo({ ifindex: 2 })
const xdp = (on: DatapathLab, bytes: Uint8Array) =>
  on.runObject(bpfXdp(on.node), 'cil_xdp_entry', xdpContext(bytes, sameDevice))
const tc = (on: DatapathLab, bytes: Uint8Array) =>
  on.runObject(bpfHost(on.node), 'cil_from_netdev', tcContext(bytes, routeTo({ ifindex: 3 })))

const text = (bytes: Uint8Array, from: number, length: number): string =>
  bytesToHex(bytes.subarray(from, from + length))
const at4 = (bytes: Uint8Array, from: number): string => [...bytes.subarray(from, from + 4)].join('.')
const sum = (bytes: Uint8Array): number => {
  let total = 0
  for (let at = 0; at < bytes.length; at += 2)
    total += ((bytes[at] as number) << 8) | ((bytes[at + 1] as number | undefined) ?? 0)
  return foldSum(total)
}
const ipSum = (bytes: Uint8Array, from = 14): number =>
  sum(bytes.subarray(from, from + ((bytes[from] as number) & 0xf) * 4))
/** The sum of an ICMPv6 message with its pseudo header. */
const icmp6Sum = (bytes: Uint8Array): number => {
  const length = readU16(bytes, 18)
  const pseudo = Uint8Array.of(0, 0, length >> 8, length & 0xff, 0, 0, 0, 58)
  return sum(Uint8Array.from([...bytes.subarray(22, 54), ...pseudo, ...bytes.subarray(54, 54 + length)]))
}

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

  test('drops where it is told to', () => {
    const on = lab('bpf_xdp', { enable_no_service_endpoints_routable: false })
    // without a local scope the stack decides
    expect(xdp(on, packet(SYN, 0, port)).result).toBe(2)
    putService(on.maps, {
      address: node,
      port,
      revNatIndex: 5,
      flags: flags | serviceFlag.EXT_LOCAL_SCOPE,
      backends: [],
    })
    expect(tc(on, packet(SYN, 0, port)).result).toBe(2)
  })
})
