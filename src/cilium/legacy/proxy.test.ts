import { describe, expect, test } from 'vitest'
import type { KernelServices } from '../../bpf/contract.ts'
import type { Define } from '../datapath/defines.ts'
import { drop } from '../datapath/drop-reason.ts'
import { datapathLab, frame, packetTuple, usualDefines } from '../test-support/lab.ts'
import { redirectToProxy, redirectToProxyFirst, redirectToProxyHairpin } from './proxy.ts'

const pod = '10.0.1.10'
const peer = '10.0.2.20'
/** Port 10001 as a policy map has it: a __be16 that is read as a number. */
const proxyPort = 0x1127
const before = 0x2711_0f00
const segment = { kind: 'tcp', source: 40_000, destination: 80 } as const
const packet = frame(peer, pod, segment)

function redirected(options: {
  readonly defines?: readonly Define[]
  readonly port?: number
  readonly fromHost?: boolean
}) {
  const asked: string[] = []
  const on = datapathLab({
    legacy: true,
    defines: [...usualDefines, ...(options.defines ?? [])],
    kernel: {
      lookupSocket: ({ sport, dport }) => {
        asked.push(`${sport} ${dport}`)
        return undefined
      },
    },
  })
  const { result } = on.run(packet, (ctx) => {
    ctx.mark = before
    const tuple = packetTuple(peer, pod, 6)
    const { port = proxyPort, fromHost = false } = options
    const code = redirectToProxy(ctx, tuple, port, fromHost)
    return { code, mark: ctx.mark }
  })
  return { ...result, asked }
}

describe('to the proxy', () => {
  test('the mark says the port', () => {
    expect(redirected({})).toEqual({ code: 0, mark: 0x1127_0200, asked: [] })
  })

  test('a reply says none: the stack finds its socket', () => {
    expect(redirected({ port: 0 })).toEqual({ code: 0, mark: 0x200, asked: [] })
  })

  test('with TPROXY in BPF the socket is looked for: that of the connection, then that of the proxy', () => {
    const { mark, asked, code } = redirected({ defines: ['ENABLE_TPROXY'] })
    expect(mark).toBe(before | 0x200)
    expect(asked).toEqual(['0 0', '0 10001'])
    expect(code).toBe(drop.PROXY_LOOKUP_FAILED)
    // not for what comes from the host
    expect(redirected({ defines: ['ENABLE_TPROXY'], fromHost: true })).toMatchObject({
      mark: 0x1127_0200,
      asked: [],
    })
  })
})

describe('where a packet arrives for the proxy', () => {
  function first(bytes: Uint8Array, defines: readonly Define[] = [], port = proxyPort) {
    const asked: string[] = []
    const lookupSocket = ({ source, sport, dport }: Parameters<KernelServices['lookupSocket']>[0]) => {
      asked.push(`${source} ${sport} ${dport}`)
      return undefined
    }
    const on = datapathLab({ legacy: true, defines: [...usualDefines, ...defines], kernel: { lookupSocket } })
    const { result } = on.run(bytes, (ctx) => {
      ctx.mark = before
      return { code: redirectToProxyFirst(ctx, port), mark: ctx.mark }
    })
    return { ...result, asked }
  }

  test('the mark says the port', () => {
    expect(first(packet)).toEqual({ code: 0, mark: 0x1127_0200, asked: [] })
  })

  test('with TPROXY in BPF even where no socket is found', () => {
    expect(first(packet, ['ENABLE_TPROXY'])).toEqual({
      code: drop.PROXY_LOOKUP_FAILED,
      mark: 0x1127_0200,
      asked: [`${0x0a00_0214} 40000 80`, '0 0 10001'],
    })
    expect(first(packet, ['ENABLE_TPROXY'], 0)).toEqual({ code: 0, mark: 0x200, asked: [] })
  })

  test.each([
    ['no IP', frame(peer, pod, segment).fill(0x88, 12, 14), drop.UNKNOWN_L3],
    ['no ports', frame(peer, pod, { kind: 'icmp', type: 8, code: 0, rest: 1 }), drop.CT_UNKNOWN_PROTO],
    ['cut off', packet.slice(0, 36), drop.CT_INVALID_HDR],
  ])('%s: the mark stays', (_, bytes, code) => {
    expect(first(bytes, ['ENABLE_TPROXY'])).toEqual({ code, mark: before, asked: [] })
  })
})

describe("from a pod's device by way of cilium_net", () => {
  function hairpin(bytes: Uint8Array) {
    const on = datapathLab({
      legacy: true,
      values: { CILIUM_NET_IFINDEX: 12, CILIUM_HOST_MAC: 0x0200_0000_1101 },
    })
    const { result, frame: sent, context } = on.run(bytes, (ctx) => redirectToProxyHairpin(ctx, proxyPort))
    return { result, sent, redirect: context.redirect, magic: context.skb?.cb[0] }
  }

  test('the word says the port, the packet has one hop less', () => {
    const { result, sent, redirect, magic } = hairpin(packet)
    expect([result, magic]).toEqual([7, 0x1127_0200])
    expect(redirect).toEqual({ kind: 'device', ifindex: 12, ingress: false })
    expect(sent[22]).toBe(63)
    expect(Buffer.from(sent.subarray(0, 12)).toString('hex')).toBe('0200000011010e0000001001')
  })

  test('a packet at its end is dropped', () => {
    const old = packet.slice()
    old[22] = 1
    expect(hairpin(old).result).toBe(drop.INVALID)
  })
})
