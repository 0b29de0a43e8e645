// Facts: linux 8.1 to 8.7 and 9.1, 9.2: what NAT makes of packets from A through R to B.
import { describe, expect, test } from 'vitest'
import { datagram, echoRequest, type IpLab, ipLab, net, sendRaw, udp } from '../../../test/ip-lab.ts'
import { formatIp, readIpv4 } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { ipv4ChecksumIsRight } from '../../net/ipv4.ts'
import { addTap, setDown } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import { addAddress, removeAddress } from '../ip/admin-address.ts'
import { attachIptables } from '../netfilter/iptables.ts'
import { parseRuleset } from '../netfilter/parse.ts'
import { conntrackText, deleteConntrack } from './text.ts'

interface NatLab extends IpLab {
  /** `10.0.1.2:5000 > 10.0.2.2:53` for every packet that arrives at B, and at A. */
  readonly atB: string[]
  readonly atA: string[]
}

function rules(ns: IpLab['r'], text: string): void {
  const parsed = parseRuleset(text, 4)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(ns, 4, parsed.ruleset)
}

function nat(lab: IpLab, ...lines: readonly string[]): void {
  rules(lab.r, ['*nat', ...lines, 'COMMIT'].join('\n'))
}

function watch(dev: NetDevice): string[] {
  const seen: string[] = []
  addTap(dev, (_dev, { bytes, start }, direction) => {
    if (direction !== 'in') return
    const l3 = start + 14
    const protocol = bytes[l3 + 9] ?? 0
    const end = l3 + readU16(bytes, l3 + 2)
    expect(ipv4ChecksumIsRight(bytes, l3)).toBe(true)
    expect(segmentChecksumIsRight(bytes, { l3, l4: l3 + 20, end, protocol })).toBe(true)
    const [source, destination] = [formatIp(readIpv4(bytes, l3 + 12)), formatIp(readIpv4(bytes, l3 + 16))]
    const icmp = protocol === 1
    seen.push(
      icmp
        ? `${source} > ${destination} icmp ${bytes[l3 + 20]}`
        : `${source}:${readU16(bytes, l3 + 20)} > ${destination}:${readU16(bytes, l3 + 22)}`,
    )
  })
  return seen
}

function natLab(...lines: readonly string[]): NatLab {
  const lab = ipLab()
  for (const ns of [lab.a, lab.b]) rules(ns, '*filter\n:INPUT DROP [0:0]\nCOMMIT')
  nat(lab, ...lines)
  return { ...lab, atB: watch(lab.b0), atA: watch(lab.a0) }
}

interface Ends {
  readonly from?: string
  readonly to?: string
  readonly sport?: number
  readonly dport?: number
}

function fromA(
  lab: IpLab,
  { from = '10.0.1.2', to = '10.0.2.2', sport = 5000, dport = 53 }: Ends = {},
): void {
  sendRaw(lab.a0, datagram({ from, to, payload: udp(sport, dport, 1) }), lab.ra.mac)
}

function fromB(
  lab: IpLab,
  { from = '10.0.2.2', to = '10.0.2.1', sport = 53, dport = 5000 }: Ends = {},
): void {
  sendRaw(lab.b0, datagram({ from, to, payload: udp(sport, dport, 1) }), lab.rb.mac)
}

const masquerade = '-A POSTROUTING -s 10.0.0.0/8 -o rb -j MASQUERADE'

/** The port of the last packet that came to B. */
function lastPort(lab: NatLab): number {
  return Number(/:(\d+) >/.exec(lab.atB.at(-1) ?? '')?.[1])
}

describe('the source port', () => {
  test('is kept while it is free, and answers find their way back', () => {
    const lab = natLab(masquerade)
    fromA(lab)
    fromB(lab)
    expect(lab.atB).toEqual(['10.0.2.1:5000 > 10.0.2.2:53'])
    expect(lab.atA).toEqual(['10.0.2.2:53 > 10.0.1.2:5000'])
  })

  test.each([
    [100, 1, 511],
    [511, 1, 511],
    [512, 600, 1023],
    [1023, 600, 1023],
    [1024, 1024, 65_535],
    [5000, 1024, 65_535],
  ])('%i that is taken becomes one of %i to %i', (sport, first, last) => {
    const lab = natLab(masquerade)
    fromA(lab, { sport })
    fromA(lab, { from: '10.0.1.3', sport })
    const port = lastPort(lab)
    expect(lab.atB[0]).toContain(`:${sport} >`)
    expect(port).not.toBe(sport)
    expect(port).toBeGreaterThanOrEqual(first)
    expect(port).toBeLessThanOrEqual(last)
    expect(lab.r.netfilter.conntrack?.chosenPorts.has(port)).toBe(true)
  })

  test('towards another port of the destination is no clash', () => {
    const lab = natLab(masquerade)
    fromA(lab)
    fromA(lab, { from: '10.0.1.3', dport: 54 })
    expect(lastPort(lab)).toBe(5000)
  })

  test('of a source that has a mapping is used for other destinations too', () => {
    const lab = natLab(masquerade)
    fromA(lab)
    fromA(lab, { from: '10.0.1.3' })
    const chosen = lastPort(lab)
    fromA(lab, { from: '10.0.1.3', dport: 80 })
    expect(lastPort(lab)).toBe(chosen)
  })

  test('gives way even where no rule speaks (null binding)', () => {
    const lab = natLab('-A POSTROUTING -s 10.0.1.0/24 -j SNAT --to-source 10.0.2.9')
    fromA(lab)
    nat(lab, '-A POSTROUTING -s 9.9.9.9 -j MASQUERADE')
    fromA(lab, { from: '10.0.2.9' })
    expect(lastPort(lab)).not.toBe(5000)
  })

  test('of a range that is used up: the packet is dropped and counted', () => {
    const lab = natLab('-A POSTROUTING -p udp -o rb -j SNAT --to-source 10.0.2.1:7000')
    fromA(lab)
    fromA(lab, { from: '10.0.1.3' })
    expect(lab.atB).toEqual(['10.0.2.1:7000 > 10.0.2.2:53'])
    expect(lab.r.netfilter.conntrack?.statistics).toMatchObject({ insert_failed: 1, drop: 1 })
  })

  test('outside of --to-ports comes from the range', () => {
    const lab = natLab('-A POSTROUTING -p udp -o rb -j MASQUERADE --to-ports 7000-7009')
    fromA(lab)
    expect(lastPort(lab)).toBeGreaterThanOrEqual(7000)
    expect(lastPort(lab)).toBeLessThanOrEqual(7009)
  })

  test('is another one with --random-fully', () => {
    const lab = natLab('-A POSTROUTING -o rb -j MASQUERADE --random-fully')
    fromA(lab)
    expect(lastPort(lab)).not.toBe(5000)
  })

  test('does not depend on the order of other flows', () => {
    const chosen = (others: readonly string[]): number => {
      const lab = natLab(masquerade)
      fromA(lab)
      for (const from of others) fromA(lab, { from, dport: 99 })
      fromA(lab, { from: '10.0.1.3' })
      return lastPort(lab)
    }
    expect(chosen(['10.0.1.7', '10.0.1.8'])).toBe(chosen([]))
  })
})

describe('the destination', () => {
  const rule = '-A PREROUTING -d 198.51.100.5/32 -p udp -j DNAT --to-destination 10.0.2.2:7000'

  test('is changed before routing; FORWARD sees the backend; the answer comes from the VIP', () => {
    const lab = natLab(rule)
    fromA(lab, { to: '198.51.100.5' })
    fromB(lab, { to: '10.0.1.2', sport: 7000 })
    expect(lab.atB).toEqual(['10.0.1.2:5000 > 10.0.2.2:7000'])
    expect(lab.atA).toEqual(['198.51.100.5:53 > 10.0.1.2:5000'])
    expect(conntrackText(lab.r)).toContain(
      'dst=198.51.100.5 sport=5000 dport=53 src=10.0.2.2 dst=10.0.1.2 sport=7000',
    )
  })

  test('of a flow stays when the rule changes, until the flow is deleted', () => {
    const lab = natLab(rule)
    fromA(lab, { to: '198.51.100.5' })
    nat(lab, '-A PREROUTING -d 198.51.100.5/32 -p udp -j DNAT --to-destination 10.0.2.2:7001')
    fromA(lab, { to: '198.51.100.5' })
    deleteConntrack(lab.r)
    fromA(lab, { to: '198.51.100.5' })
    expect(lab.atB.map((line) => line.split(':').at(-1))).toEqual(['7000', '7000', '7001'])
  })

  test('in an error is turned back, inside and outside (linux 9.1, 9.2)', () => {
    const lab = natLab(rule)
    fromA(lab, { to: '198.51.100.5' })
    const quoted = datagram({ from: '10.0.1.2', to: '10.0.2.2', ttl: 63, payload: udp(5000, 7000, 1) })
    const payload = new Uint8Array(8 + quoted.length)
    payload.set([3, 3])
    payload.set(quoted, 8)
    const inner: string[] = []
    addTap(lab.a0, (_dev, { bytes, start }, direction) => {
      const l3 = start + 14
      if (direction === 'in' && bytes[l3 + 9] === 1)
        inner.push(`${formatIp(readIpv4(bytes, l3 + 44))}:${readU16(bytes, l3 + 50)}`)
    })
    sendRaw(lab.b0, datagram({ from: '10.0.2.2', to: '10.0.1.2', protocol: 1, payload }), lab.rb.mac)
    expect(lab.atA).toEqual(['198.51.100.5 > 10.0.1.2 icmp 3'])
    expect(inner).toEqual(['198.51.100.5:53'])
  })

  test('REDIRECT goes to the address of the device', () => {
    const lab = natLab('-A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5353')
    fromA(lab)
    expect(conntrackText(lab.r)).toContain('src=10.0.1.1 dst=10.0.1.2 sport=5353 dport=5000')
  })
})

test('an echo keeps its identifier while it is free', () => {
  const lab = natLab(masquerade)
  const ping = (from: string): void => {
    sendRaw(lab.a0, datagram({ from, to: '10.0.2.2', protocol: 1, payload: echoRequest() }), lab.ra.mac)
  }
  ping('10.0.1.2')
  ping('10.0.1.3')
  const ids = [...conntrackText(lab.r).matchAll(/type=0 code=0 id=(\d+)/g)].map(([, id]) => Number(id))
  expect(ids[0]).toBe(77)
  expect(ids[1]).not.toBe(77)
})

test('masqueraded flows are forgotten with their device', () => {
  const lab = natLab(masquerade)
  fromA(lab)
  setDown(lab.rb)
  expect(conntrackText(lab.r)).toBe('')
})

test('masqueraded flows are forgotten with the address that they have', () => {
  const lab = natLab(masquerade)
  fromA(lab)
  addAddress(lab.rb, net('10.0.9.1/24'))
  removeAddress(lab.rb, net('10.0.9.1/24'))
  expect(conntrackText(lab.r)).not.toBe('')
  removeAddress(lab.rb, net('10.0.2.1/24'))
  expect(conntrackText(lab.r)).toBe('')
})

test('a rule that leaves one port leaves nothing to chance', () => {
  const lab = natLab('-A POSTROUTING -o rb -p udp -j SNAT --to-source 10.0.2.1:6000')
  fromA(lab)
  expect(lastPort(lab)).toBe(6000)
  expect(lab.r.netfilter.conntrack?.chosenPorts.size).toBe(0)
})

test('INVALID and UNTRACKED packets are not translated', () => {
  const lab = natLab(masquerade)
  rules(lab.r, '*raw\n-A PREROUTING -j CT --notrack\nCOMMIT')
  fromA(lab)
  expect(lab.atB).toEqual(['10.0.1.2:5000 > 10.0.2.2:53'])
})
