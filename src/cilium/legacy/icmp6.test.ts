import { describe, expect, test } from 'vitest'
import { tcContext } from '../../bpf/test-support/contexts.ts'
import type { Define } from '../datapath/defines.ts'
import { drop } from '../datapath/drop-reason.ts'
import { SKIP_HOST_FIREWALL } from '../host/icmp6.ts'
import { putEndpoint } from '../test-support/entries.ts'
import { addressBytes, datapathLab, frame, hex, usualDefines } from '../test-support/lab.ts'
import { handleIcmp6AtHost } from './icmp6.ts'
import { bpfLxc } from './lxc/bpf-lxc.ts'

const pod = 'fd00:1::10'
const router = 'fd00:1::1'
const REDIRECT = 7
const DROP = 2

const message = (type: number, source = 'fd01::2', destination = 'fd01::1'): Uint8Array =>
  frame(source, destination, { kind: 'icmp6', type, code: 0, rest: 0x0007_0001 })

describe('at the host', () => {
  const asked = (packet: Uint8Array, ...defines: readonly Define[]): number =>
    datapathLab({ legacy: true, defines: [...usualDefines, ...defines] }).run(packet, (ctx) =>
      handleIcmp6AtHost(ctx, 14),
    ).result

  test.each([
    [1, SKIP_HOST_FIREWALL],
    [4, SKIP_HOST_FIREWALL],
    [100, drop.FORBIDDEN_ICMP6],
    [128, 0],
    [129, 0],
    [130, SKIP_HOST_FIREWALL],
    [136, SKIP_HOST_FIREWALL],
    [137, drop.FORBIDDEN_ICMP6],
    [143, SKIP_HOST_FIREWALL],
    [200, drop.FORBIDDEN_ICMP6],
  ])('type %i under the host firewall', (type, expected) => {
    expect(asked(message(type), 'ENABLE_HOST_FIREWALL')).toBe(expected)
    expect(asked(message(type))).toBe(0)
  })

  test('a solicitation is answered behind a tail call', () => {
    expect(asked(message(135))).toBe(drop.MISSED_TAIL_CALL)
  })

  test('a message without a type has type 0', () => {
    const short = message(1).slice(0, 54)
    expect(asked(short)).toBe(0)
    expect(asked(short, 'ENABLE_HOST_FIREWALL')).toBe(drop.FORBIDDEN_ICMP6)
  })
})

describe("at a pod's device", () => {
  function fromPod(packet: Uint8Array) {
    const on = datapathLab({
      legacy: true,
      values: { router_ipv6: addressBytes(router) },
      object: { endpoint_ipv6: addressBytes(pod) },
    })
    putEndpoint(on.maps, 'fd00:1::11', { id: 102, ifindex: 22 })
    return on.runObject(bpfLxc(on.node), 'from-container', tcContext(packet))
  }

  test("the router's echo", () => {
    const { result, frame: sent, context } = fromPod(message(128, pod, router))
    expect([result, context.redirect]).toEqual([REDIRECT, { kind: 'device', ifindex: 2, ingress: false }])
    // the MACs change places, the hop limit of answers is 64
    const expected = message(129, router, pod)
    expected.set(hex('0a00000010010e0000001001'))
    expect(sent).toEqual(expected)
  })

  test.each([
    ['the router', router, 0xc0],
    ['another pod', 'fd00:1::11', 0x60],
  ])('who asks for %s gets the address of the device', (_, target, flags) => {
    const option = Uint8Array.of(1, 1, 0x0a, 0, 0, 0, 0x10, 1)
    const bytes = Uint8Array.of(...addressBytes(target), ...option)
    const packet = frame(
      pod,
      'ff02::1:ff00:1',
      { kind: 'icmp6', type: 135, code: 0, rest: 0 },
      { kind: 'payload', bytes },
    )
    const { result, frame: sent } = fromPod(packet)
    expect(result).toBe(REDIRECT)
    expect(sent.slice(54, 56)).toEqual(Uint8Array.of(136, 0))
    expect(sent[58]).toBe(flags)
    expect(sent.slice(62, 78)).toEqual(addressBytes(target))
    expect(sent.slice(78)).toEqual(hex('02010e0000001001'))
  })

  test('a message that is cut off is dropped', () => {
    expect(fromPod(message(128, pod, router).slice(0, 60)).result).toBe(DROP)
  })
})
