import { describe, expect, test } from 'vitest'
import { putIpcache } from '../test-support/entries.ts'
import { type DatapathLab, datapathLab, frame, usualDefines } from '../test-support/lab.ts'
import type { Define } from './defines.ts'
import { isWireguardPacket, wgMaybeRedirectToEncrypt } from './wireguard.ts'

const wireguard = 14
const port = 51_871
const pod = '10.0.1.10'
const remotePod = '10.0.2.10'

function lab(...defines: readonly Define[]): DatapathLab {
  return datapathLab({
    defines: [...usualDefines, 'HAVE_ENCAP', 'ENABLE_WIREGUARD', ...defines],
    values: { wg_ifindex: wireguard, wg_port: port },
    object: { kind: 'bpf_host' },
  })
}

const packet = frame(pod, remotePod, { kind: 'udp', source: 1, destination: 2 })

function encrypt(on: DatapathLab, source: number, before = 0) {
  const { result, context } = on.run(packet, (ctx) => {
    ctx.mark = before
    return { result: wgMaybeRedirectToEncrypt(ctx, 0x0800, source), mark: ctx.mark }
  })
  return { ...result, redirect: context.redirect }
}

const toWireguard = { kind: 'device', ifindex: wireguard, ingress: false }
const plain = { kind: 'none' }

describe('encryption (facts 2.15)', () => {
  function cluster(...defines: readonly Define[]): DatapathLab {
    const on = lab(...defines)
    putIpcache(on.maps, remotePod, { identity: 6001, tunnel: '192.168.0.2', key: 255 })
    return on
  }

  test('a pod’s packet for a pod of a node with a key goes to cilium_wg0 with its identity', () => {
    expect(encrypt(cluster(), 5001)).toEqual({ result: 7, mark: 0x1389_0f00, redirect: toWireguard })
  })

  test('without a key, or for an address that nobody knows, it stays plain', () => {
    const on = lab()
    expect(encrypt(on, 5001).redirect).toEqual(plain)
    putIpcache(on.maps, remotePod, { identity: 6001, tunnel: '192.168.0.2' })
    expect(encrypt(on, 5001).redirect).toEqual(plain)
  })

  test.each([
    ['the host', 1, 'plain', 'encrypted'],
    ['the world', 2, 'plain', 'plain'],
    ['another node', 6, 'plain', 'plain'],
  ])('what %s sends is %s, with node encryption %s', (_, source, usual, withNodes) => {
    const seen = (on: DatapathLab) => (encrypt(on, source).result === 7 ? 'encrypted' : 'plain')
    const usually = seen(cluster())
    const encrypted = seen(cluster('ENABLE_NODE_ENCRYPTION'))
    expect(usually).toBe(usual)
    expect(encrypted).toBe(withNodes)
  })

  test('tunnel packets always go to cilium_wg0', () => {
    expect(encrypt(lab(), 0, 0x400)).toEqual({ result: 7, mark: 0x400, redirect: toWireguard })
  })

  test('the sender that nobody knows is looked up', () => {
    const on = cluster()
    expect(encrypt(on, 0).redirect).toEqual(plain)
    putIpcache(on.maps, pod, { identity: 5001 })
    expect(encrypt(on, 0).redirect).toEqual(toWireguard)
  })

  test('neighbour advertisements stay plain with node encryption', () => {
    const on = lab('ENABLE_NODE_ENCRYPTION')
    putIpcache(on.maps, 'fd01::2', { identity: 6, tunnel: '192.168.0.2', key: 255 })
    const icmp = (type: number) =>
      frame(
        'fd01::1',
        'fd01::2',
        { kind: 'icmp6', type, code: 0 },
        { kind: 'payload', bytes: new Uint8Array(20) },
      )
    const result = (type: number) =>
      on.run(icmp(type), (ctx) => wgMaybeRedirectToEncrypt(ctx, 0x86dd, 1)).result
    expect([result(136), result(128)]).toEqual([0, 7])
  })
})

describe('an encrypted packet', () => {
  const is = (source: number, ports: readonly [number, number]) =>
    lab().run(
      frame('192.168.0.2', '192.168.0.1', { kind: 'udp', source: ports[0], destination: ports[1] }),
      (ctx) => isWireguardPacket(ctx, 34, 17, source),
    ).result

  test('is UDP between both WireGuard ports of nodes of the cluster', () => {
    expect(is(6, [port, port])).toBe(true)
    expect(is(6, [port, 53])).toBe(false)
    expect(is(6, [53, port])).toBe(false)
    expect(is(2, [port, port])).toBe(false)
  })
})
