import { describe, expect, test } from 'vitest'
import { writeLe16 } from '../../bpf/context/byte-order.ts'
import { putIpcache } from '../test-support/entries.ts'
import { addressBytes, type DatapathLab, datapathLab, frame, usualDefines } from '../test-support/lab.ts'
import { cb } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { doDecrypt, ipsecMaybeRedirectToEncrypt } from './ipsec.ts'

const hostIfindex = 11
const netIfindex = 12
const there = '192.168.0.2'
const pod = '10.0.1.10'
const remotePod = '10.0.2.10'
const ESP = 50

function lab(): DatapathLab {
  return datapathLab({
    defines: [...usualDefines, 'HAVE_ENCAP', 'ENABLE_IPSEC'],
    values: {
      CILIUM_HOST_IFINDEX: hostIfindex,
      CILIUM_NET_IFINDEX: netIfindex,
      CILIUM_NET_MAC: 0x0200_0000_0012,
    },
    object: { kind: 'bpf_host' },
  })
}

function putNode(on: DatapathLab, address: string, id: number, spi: number): void {
  const bytes = addressBytes(address)
  const key = new Uint8Array(20)
  key[3] = bytes.length === 4 ? 1 : 2
  key.set(bytes, 4)
  const value = new Uint8Array(4)
  writeLe16(value, 0, id)
  value[2] = spi
  on.maps.cilium_node_map_v2.update(key, value, 0, 0)
}

const esp = (): Uint8Array => {
  const packet = frame(there, '192.168.0.1', { kind: 'udp', source: 1, destination: 2 })
  packet[14 + 9] = ESP
  return packet
}

describe('decryption (facts 2.16)', () => {
  const decrypt = (on: DatapathLab, packet: Uint8Array, before = 0) =>
    on.run(packet, (ctx) => {
      ctx.mark = before
      return { result: doDecrypt(ctx, 0x0800), mark: ctx.mark }
    })

  test('ESP of a known node gets the mark for xfrm with the id of the node', () => {
    const on = lab()
    putNode(on, there, 0x1234, 3)
    const { result, context } = decrypt(on, esp())
    expect(result).toEqual({ result: 0, mark: 0x1234_0d00 })
    expect(context.skb?.pktType).toBe(0)
  })

  test('ESP of an unknown node is dropped', () => {
    expect(decrypt(lab(), esp()).result.result).toBe(drop.NO_NODE_ID)
  })

  test('what is not encrypted goes its way', () => {
    const plain = frame(there, '192.168.0.1', { kind: 'udp', source: 1, destination: 2 })
    expect(decrypt(lab(), plain).result).toEqual({ result: 0, mark: 0 })
  })

  test('what xfrm has decrypted goes to cilium_host without its mark', () => {
    const inner = frame(remotePod, pod, { kind: 'udp', source: 1, destination: 2 })
    const { result, context } = decrypt(lab(), inner, 0x1234_0d00)
    expect(result).toEqual({ result: 7, mark: 0 })
    expect(context.redirect).toEqual({ kind: 'device', ifindex: hostIfindex, ingress: false })
  })
})

describe('encryption', () => {
  const encrypt = (on: DatapathLab, source: number) =>
    on.run(frame(pod, remotePod, { kind: 'udp', source: 1, destination: 2 }), (ctx) => ({
      result: ipsecMaybeRedirectToEncrypt(ctx, 0x0800, source),
      mark: ctx.mark,
      identity: ctx.meta(cb.ENCRYPT_IDENTITY),
    }))

  function cluster(spi = 3, local = 3): DatapathLab {
    const on = lab()
    putIpcache(on.maps, remotePod, { identity: 6001, tunnel: there, key: spi })
    putNode(on, there, 0x1234, spi)
    on.maps.cilium_encrypt_state.update(new Uint8Array(4), Uint8Array.of(local, 0, 0, 0), 0, 0)
    return on
  }

  test('a pod’s packet for a pod of another node goes through cilium_net to xfrm', () => {
    const { result, context, frame: sent } = encrypt(cluster(), 5001)
    expect(result).toEqual({ result: 7, mark: 0x1234_3e00, identity: 5001 })
    expect(context.redirect).toEqual({ kind: 'device', ifindex: netIfindex, ingress: true })
    expect([...sent.subarray(0, 6)]).toEqual([2, 0, 0, 0, 0, 0x12])
  })

  test.each([
    // both sides have the older key
    [3, 4, 3],
    [4, 3, 3],
    [15, 1, 15],
    [1, 15, 15],
    [15, 14, 14],
  ])('with key %i there and %i here key %i is used', (spi, local, used) => {
    expect(encrypt(cluster(spi, local), 5001).result.mark).toBe((0x1234_0e00 | (used << 12)) >>> 0)
  })

  test.each([
    ['the host', 1],
    ['the world', 2],
    ['another node', 6],
  ])('what %s sends stays plain', (_, source) => {
    expect(encrypt(cluster(), source).result).toEqual({ result: 0, mark: 0, identity: 0 })
  })

  test('without a key or a tunnel endpoint the packet stays plain', () => {
    expect(encrypt(cluster(0), 5001).result.result).toBe(0)
    const on = lab()
    putIpcache(on.maps, remotePod, { identity: 6001, key: 3 })
    expect(encrypt(on, 5001).result.result).toBe(0)
  })

  test('for a node without an id it is dropped', () => {
    const on = lab()
    putIpcache(on.maps, remotePod, { identity: 6001, tunnel: there, key: 3 })
    expect(encrypt(on, 5001).result.result).toBe(drop.NO_NODE_ID)
  })

  test('the sender that nobody knows is looked up', () => {
    const on = cluster()
    expect(encrypt(on, 0).result.result).toBe(0)
    putIpcache(on.maps, pod, { identity: 5001 })
    expect(encrypt(on, 0).result).toMatchObject({ result: 7, identity: 5001 })
  })
})
