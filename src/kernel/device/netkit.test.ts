import { describe, expect, test } from 'vitest'
import { lab, labFrame, macA, macB, outcomes, program, send } from '../../../test/lab.ts'
import { pktType, type Skb } from '../skb.ts'
import { setDown, setUp } from './change.ts'
import { transmitDropped, transmitted } from './device.ts'
import { addNetkitPair, attachNetkit, type NetkitEnd, type NetkitMode } from './netkit.ts'

function pair(options: {
  readonly mode?: NetkitMode
  readonly primary?: NetkitEnd
  readonly peer?: NetkitEnd
}) {
  const around = lab()
  const { mode = 'l3', primary = {}, peer = {} } = options
  const [nk0, nk1] = addNetkitPair(
    { ns: around.a, name: 'nk0', mac: macA, mode, ...primary },
    { ns: around.b, name: 'nk1', mac: macB, ...peer },
  )
  setUp(nk0)
  setUp(nk1)
  return { ...around, nk0, nk1 }
}

const zeros = labFrame({ to: 0, from: 0 })

describe('a netkit pair', () => {
  test('mode l3: no addresses, no ARP; what is sent to the zero address is for the host', () => {
    const { nk0, nk1, received } = pair({})
    expect([nk0.mac, nk1.mac, nk0.arp, nk1.arp]).toEqual([0, 0, false, false])
    expect(send(nk0, zeros)).toBe(transmitted)
    expect(received.map(({ dev, pktType: type }) => [dev.name, type])).toEqual([['nk1', pktType.host]])
    expect([nk0.counters.tx_packets, nk1.counters.rx_packets]).toEqual([1, 1])
  })

  test('mode l2: addresses count', () => {
    const { nk0, nk1, received } = pair({ mode: 'l2' })
    expect([nk0.mac, nk1.mac, nk0.arp]).toEqual([macA, macB, true])
    send(nk0, labFrame({ to: macB, from: macA }))
    send(nk0, labFrame({ to: 0x0200_0000_0099, from: macA }))
    expect(received.map(({ pktType: type }) => type)).toEqual([pktType.host, pktType.otherHost])
  })

  test('the policy holds while there is no program; with one, NEXT at the end passes', () => {
    const { machine, nk0, received } = pair({ primary: { policy: 'blackhole' } })
    expect(send(nk0, zeros)).toBe(transmitDropped)
    expect(outcomes(machine)).toEqual(['dropped A/nk0/tx SKB_DROP_REASON_NOT_SPECIFIED'])
    expect(nk0.counters.tx_dropped).toBe(1)
    attachNetkit(nk0, 'primary', { program: program('p', -1) })
    send(nk0, zeros)
    expect(received).toHaveLength(1)
  })

  test.each([
    [-1, 1, 1],
    [0, 0, 1],
    [2, 0, 0],
    [5, 0, 0],
  ])(
    'code %i of the first of two programs: the second runs %i times, %i packets arrive',
    (code, second, arrived) => {
      const { nk0, received } = pair({})
      let runs = 0
      attachNetkit(nk0, 'peer', { program: program('one', code) })
      attachNetkit(nk0, 'peer', {
        program: program('two', () => {
          runs += 1
          return 0
        }),
      })
      const { peer } = nk0
      if (peer === undefined) throw new Error('no peer')
      send(peer, zeros)
      expect([runs, received.length]).toEqual([second, arrived])
    },
  )

  test('programs see the packet as the other end would: its device, no arrival, in its namespace', () => {
    const { nk0, nk1 } = pair({ primary: { scrub: 'none' } })
    const seen: unknown[] = []
    const look = (context: { readonly skb?: unknown }): number => {
      const skb = context.skb as Skb
      seen.push([skb.dev.name, skb.ingressIfindex, skb.mark, skb.pktType])
      return 0
    }
    attachNetkit(nk0, 'primary', { program: program('in', look) })
    attachNetkit(nk0, 'peer', { program: program('out', look) })
    const mark = (skb: Skb): void => {
      skb.mark = 7
      skb.ingressIfindex = 4
    }
    send(nk0, zeros, mark)
    send(nk1, zeros, mark)
    // the primary end keeps the mark, the other one scrubs
    expect(seen).toEqual([
      ['nk1', 0, 7, pktType.host],
      ['nk0', 0, 0, pktType.host],
    ])
  })

  test('a redirect goes by the tables of the other end, and counts as sent', () => {
    const { a, a0, nk0, nk1, received } = pair({})
    attachNetkit(nk0, 'peer', {
      program: program('out', (context) => {
        Object.assign(context, { redirect: { kind: 'device', ifindex: a0.ifindex, ingress: false } })
        return 7
      }),
    })
    send(nk1, labFrame({ to: macB, from: macA }))
    expect(received.map(({ dev }) => dev.name)).toEqual(['b0'])
    expect([nk1.counters.tx_packets, nk0.counters.rx_packets, a.devices.size]).toEqual([1, 0, 3])
  })

  test('what is refused', () => {
    const { a0, nk0, nk1 } = pair({})
    const one = program('one', 0)
    expect(attachNetkit(a0, 'primary', { program: one })).toMatchObject({ errno: 'ENXIO' })
    expect(attachNetkit(nk1, 'primary', { program: one })).toMatchObject({ errno: 'EACCES' })
    expect(attachNetkit(nk0, 'primary', { program: program('x', 0, 'xdp') })).toMatchObject({
      errno: 'EINVAL',
    })
    setDown(nk1)
    expect(nk0.carrier).toBe(false)
    expect(send(nk0, zeros)).toBe(transmitDropped)
  })
})
