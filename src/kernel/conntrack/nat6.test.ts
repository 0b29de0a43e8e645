// The same machinery for IPv6 (facts: linux 9.7): MASQUERADE and DNAT in ip6tables, errors turned back.
import { expect, test } from 'vitest'
import { formatIpv6, parseIp, readIpv6 } from '../../net/address.ts'
import { readU16 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { parsePrefix } from '../../net/prefix.ts'
import { addTap, setUp } from '../device/change.ts'
import { addVethPair } from '../device/veth.ts'
import { addAddress } from '../ip/admin-address.ts'
import { addRoute } from '../ip/admin-route.ts'
import { createMachine } from '../machine.ts'
import { addNamespace, type Namespace } from '../namespace.ts'
import { attachIptables } from '../netfilter/iptables.ts'
import { parseRuleset } from '../netfilter/parse.ts'
import { udpBind, udpOpen, udpSend } from '../socket/udp.ts'
import { udpReceive } from '../socket/udp-read.ts'
import { conntrackText } from './text.ts'

function ip(text: string): NonNullable<ReturnType<typeof parseIp>> {
  const address = parseIp(text)
  if (address === undefined) throw new Error(text)
  return address
}

function prefix(text: string): NonNullable<ReturnType<typeof parsePrefix>> {
  const found = parsePrefix(text)
  if (found === undefined) throw new Error(text)
  return found
}

function lab(rules: string): { a: Namespace; r: Namespace; b: Namespace; atB: string[] } {
  const machine = createMachine({ seed: 1 })
  const [a, r, b] = ['A', 'R', 'B'].map((name) => addNamespace(machine, { name })) as [
    Namespace,
    Namespace,
    Namespace,
  ]
  r.sysctls.set('net.ipv6.conf.all.forwarding', 1)
  const [a0, ra] = addVethPair(
    { ns: a, name: 'a0', mac: 0x0200_0000_00a0 },
    { ns: r, name: 'ra', mac: 0x0200_0000_00a1 },
  )
  const [rb, b0] = addVethPair(
    { ns: r, name: 'rb', mac: 0x0200_0000_00b1 },
    { ns: b, name: 'b0', mac: 0x0200_0000_00b0 },
  )
  for (const dev of [a0, ra, rb, b0]) setUp(dev)
  addAddress(a0, prefix('fd01::2/64'))
  addAddress(ra, prefix('fd01::1/64'))
  addAddress(rb, prefix('fd02::1/64'))
  addAddress(b0, prefix('fd02::2/64'))
  addRoute(a, { prefix: prefix('::/0'), nextHops: [{ gateway: ip('fd01::1') }] })
  addRoute(b, { prefix: prefix('::/0'), nextHops: [{ gateway: ip('fd02::1') }] })
  const parsed = parseRuleset(rules, 6)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(r, 6, parsed.ruleset)
  const atB: string[] = []
  addTap(b0, (_dev, { bytes, start, tail }, direction) => {
    const l3 = start + 14
    if (direction !== 'in' || bytes[l3 + 6] !== 17) return
    expect(segmentChecksumIsRight(bytes, { l3, l4: l3 + 40, end: tail, protocol: 17 })).toBe(true)
    atB.push(
      `${formatIpv6(readIpv6(bytes, l3 + 8))} > ${formatIpv6(readIpv6(bytes, l3 + 24))} ${readU16(bytes, l3 + 42)}`,
    )
  })
  return { a, r, b, atB }
}

function open(ns: Namespace, address: string, port: number): Parameters<typeof udpBind>[0] {
  const opened = udpOpen({ ns, family: 6, label: `${ns.name}${port}`, options: {} })
  if (!('ok' in opened)) throw new Error(opened.errno)
  udpBind(opened.ok, { address: ip(address), port })
  return opened.ok
}

test('DNAT and MASQUERADE of IPv6, there and back', () => {
  const { a, r, b, atB } = lab(
    '*nat\n-A PREROUTING -d fd99::5/128 -p udp -m udp --dport 53 -j DNAT --to-destination [fd02::2]:7000\n-A POSTROUTING -o rb -j MASQUERADE\nCOMMIT',
  )
  const client = open(a, 'fd01::2', 5000)
  const server = open(b, 'fd02::2', 7000)
  udpSend(client, Uint8Array.of(1), { to: { address: ip('fd99::5'), port: 53 } })
  r.machine.clock.advance(50_000_000)
  expect(atB).toEqual(['fd02::1 > fd02::2 7000'])
  const got = udpReceive(server, { withSource: true })
  if (!('ok' in got)) throw new Error(got.errno)
  udpSend(server, Uint8Array.of(2), { to: { address: got.ok.source, port: got.ok.sourcePort } })
  r.machine.clock.advance(100_000_000)
  const answer = udpReceive(client, { withSource: true })
  expect('ok' in answer && formatIpv6(answer.ok.source as ReturnType<typeof readIpv6>)).toBe('fd99::5')
  expect(conntrackText(r, 6)).toMatch(
    /src=fd01::2 dst=fd99::5 sport=5000 dport=53 src=fd02::2 dst=fd02::1 sport=7000 dport=5000/,
  )
})
