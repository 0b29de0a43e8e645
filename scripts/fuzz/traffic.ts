// Traffic: flows through sockets, raw packets good and odd, and changes between them.
import type { Dice } from './dice.ts'
import { addressesOf, type Draft, type DraftHost } from './host.ts'

const odd4 = [
  '10.9.1.7',
  '10.9.2.1',
  '10.99.0.1',
  '255.255.255.255',
  '10.1.0.255',
  '10.2.0.255',
  '224.0.0.1',
  '224.0.0.251',
  '127.0.0.1',
  '0.0.0.0',
  '240.0.0.1',
  '169.254.1.1',
  '10.1.0.77',
]
const odd6 = ['fd00:9:1::7', 'fd00:99::1', 'ff02::1', '::1', '::', 'fd00:2::77', 'fe80::99', 'ff05::2']

function destination(dice: Dice, draft: Draft, six: boolean): string {
  if (dice.once(3)) return dice.pick(six ? odd6 : odd4)
  return dice.pick(addressesOf(draft, six ? 6 : 4))
}

function withPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function flow(dice: Dice, draft: Draft, label: string): string {
  const from = dice.pick(draft.hosts).name
  const six = draft.ipv6 && dice.once(2)
  const target = destination(dice, draft, six)
  const options = [
    dice.once(5) ? ` ttl ${dice.pick([1, 2, 3])}` : '',
    dice.once(8) && !six ? ' tos 16' : '',
    dice.once(8) ? ` mark ${dice.pick([1, 2])}` : '',
  ].join('')
  const port = dice.number(4000, 4999)
  const kind = dice.pick(['udp', 'udp', 'udp', 'ping', 'tcp'])
  if (kind === 'ping') return `${label}: ping ${from} > ${target}${options} { ping ${dice.number(1, 2)} }`
  if (kind === 'tcp')
    return `${label}: tcp ${from}:${port} > ${withPort(target, dice.pick([80, 80, 81]))}${options} { ${dice.pick(['open', 'open send 20', 'open send 20 recv 30 close', 'open close', 'open send 1200 reset'])} }`
  const df = !six && dice.once(5) ? ' df' : ''
  const connected = dice.once(4) ? ' connected' : ''
  const sizes = [0, 5, 20, 600, 1472, 1473, 3000]
  return `${label}: udp ${from}:${port} > ${withPort(target, dice.pick([7000, 7000, 7001, 53]))}${options}${df}${connected} { ${dice.pick(['send', 'send', 'send 5 send'])} ${dice.pick(sizes)} }`
}

/** A device that a raw frame may arrive at, and who stands at the other end. */
function entry(dice: Dice, draft: Draft): { readonly place: string; readonly sender: string } {
  const at = dice.once(3) ? dice.pick(draft.hosts) : (draft.hosts[1] as DraftHost)
  const devices = at.devices.filter(({ kind }) => /peer|on /.test(kind))
  const device = dice.pick(devices)
  const peer = /peer (\w+)\//.exec(device.kind)?.[1]
  const others = draft.hosts.filter(
    ({ name, devices: [first] }) => name !== at.name && first?.kind === 'on lan',
  )
  return { place: `${at.name}/${device.name}`, sender: peer ?? (dice.pick(others).name || 'A') }
}

/** Neither timestamp requests nor the timestamp option: they are answered with the time of day. */
function shortPacket(dice: Dice, draft: Draft, six: boolean): string {
  const source = dice.once(4) ? dice.pick(six ? odd6 : odd4) : dice.pick(addressesOf(draft, six ? 6 : 4))
  const target = destination(dice, draft, six)
  const kind = dice.pick(['udp', 'udp', 'tcp', 'tcp', 'icmp', 'icmp-any', 'sctp', 'other'])
  const options = [
    dice.once(4) ? ` ${six ? 'hoplimit' : 'ttl'} ${dice.pick([0, 1, 2, 255])}` : '',
    kind !== 'other' && kind !== 'sctp' && dice.once(6) ? ' checksum bad' : '',
    !six && dice.once(6) ? ` tos ${dice.pick([16, 0xb8, 3])}` : '',
    !six && dice.once(6) ? ' df' : '',
    dice.once(8) ? ` payload "${'x'.repeat(dice.pick([1, 20, 100]))}"` : '',
    dice.once(10) ? ' eth.dst 02:00:00:00:00:77' : '',
    dice.once(14) ? ' eth.dst ff:ff:ff:ff:ff:ff' : '',
  ].join('')
  const port = dice.pick([7000, 7001, 53, 80])
  if (kind === 'udp')
    return `udp ${withPort(source, 4000)} > ${withPort(target, port)}${options}${!six && dice.once(10) ? ' checksum none' : ''}`
  if (kind === 'tcp')
    return `tcp ${withPort(source, 4000)} > ${withPort(target, port)} flags ${dice.pick(['syn', 'ack', 'rst', 'fin+ack', 'syn+ack', 'psh+ack', 'rst+ack', 'syn+fin'])}${options}`
  if (kind === 'sctp')
    return `sctp ${dice.pick(['init', 'init', 'data', 'abort'])} ${withPort(source, 4000)} > ${withPort(target, 80)}${options}`
  const icmp = six ? 'icmp6' : 'icmp'
  if (kind === 'icmp')
    return `${icmp} ${dice.pick(['echo-request', 'echo-request', 'echo-reply'])} ${source} > ${target} id 7 seq 1${options}`
  if (kind === 'icmp-any')
    return `${icmp} ${source} > ${target} type ${dice.pick(six ? [1, 3, 4, 128, 129, 200] : [0, 3, 8, 11, 12, 17, 42])} code ${dice.pick([0, 0, 1, 3])}${options}`
  return six
    ? `ip6 ${source} > ${target}${options}`
    : `${dice.pick(['ip', 'esp', 'gre', 'igmp'])} ${source} > ${target}${options}`
}

/** INIT and INIT ACK with the tag 1, COOKIE ECHO, COOKIE ACK, HEARTBEAT, SHUTDOWN ACK. */
const chunks = [
  '01000014 00000001 00010000 000a000a 00000001',
  '02000014 00000001 00010000 000a000a 00000001',
  '0a000004',
  '0b000004',
  '04000008 00010004',
  '08000004',
]

function layered(dice: Dice, draft: Draft, sender: string, to: string): string {
  const a = dice.pick(addressesOf(draft, 4))
  const b = destination(dice, draft, false)
  const eth = `eth { src ${sender} dst ${to} }`
  const ip = (fields: string): string => `${eth} ip { src ${a} dst ${b} ${fields} }`
  const udp = 'udp { sport 4000 dport 7000 } payload "0123456789abcdef"'
  return dice.pick([
    `${ip(`ttl 9 options "${dice.pick(['01010100', '94040000', '07070400000000 00', '8307040a010001 00', '0101', 'ff040000', '86060000000000 00'])}"`)} ${udp}`,
    `${ip('ttl 9 frag 0 mf id 7')} ${udp} hex "0011223344556677"`,
    `${ip('ttl 9 frag 3 id 7 proto 17')} payload "01234567"`,
    `${ip('ttl 9 frag 1 mf id 7 proto 6')} payload "01234567"`,
    `${ip(`ttl 9 version ${dice.pick([5, 6])}`)} ${udp}`,
    `${ip(`ttl 9 ihl ${dice.pick([4, 6, 15])}`)} ${udp}`,
    `${ip(`ttl 9 len ${dice.pick([10, 20, 28, 30, 1000])}`)} ${udp}`,
    `${ip('ttl 9 checksum 0x1234')} ${udp}`,
    `${ip('ttl 9')} udp { sport 4000 dport 7000 len ${dice.pick([0, 7, 8, 12, 1000])} } payload "0123456789abcdef"`,
    `${eth} vlan { id ${dice.pick([0, 5])} } ip { src ${a} dst ${b} ttl 9 } ${udp}`,
    `${ip('ttl 9')} tcp { sport 4000 dport 80 flags syn doff ${dice.pick([4, 5, 6, 15])} }`,
    `${ip('ttl 9 id 7 df')} icmp { type 3 code ${dice.pick([0, 1, 3, 4])} } hex "45000030000040004011 0000 0a010002 0a020002 0fa0 1b58 001c 0000"`,
    `${ip('ttl 9')} payload "odd"`,
    `${ip('ttl 9')} sctp { sport 4000 dport 80 vtag ${dice.pick([0, 1])} } hex "${dice.pick(chunks)}"`,
  ])
}

function packet(dice: Dice, draft: Draft, label: string): string {
  const { place, sender } = entry(dice, draft)
  const six = draft.ipv6 && dice.once(2)
  const to = place.split('/')[0] ?? ''
  if (dice.once(6)) {
    const target = destination(dice, draft, false)
    const source = dice.pick(addressesOf(draft, 4))
    return `${label}: packet arp ${dice.pick(['request', 'request', 'reply', 'gratuitous'])} ${source} > ${target} eth.src ${sender} on ${place}`
  }
  if (!six && dice.once(3)) return `${label}: packet ${layered(dice, draft, sender, to)} on ${place}`
  return `${label}: packet ${shortPacket(dice, draft, six)} eth.src ${sender} on ${place}`
}

/** Not `link down`: when the other end of a veth hears of it is up to the kernel's linkwatch, within a second. */
function change(dice: Dice, draft: Draft): string {
  const each = dice.once(2) ? dice.pick(draft.hosts) : (draft.hosts[1] as DraftHost)
  const { name, kind } = dice.pick(each.devices)
  // a veth takes in no frame longer than its own MTU; the card that it stands for on a wire would
  const size = kind.startsWith('on ') ? [] : [`set ${each.name}/${name} mtu 1400`]
  return dice.pick([
    'wait 50ms',
    `link ${each.name}/${name} up`,
    `on ${each.name} { replace route blackhole 10.9.1.0/24 }`,
    `on ${each.name} { replace neigh 10.2.0.2 02:00:00:00:00:78 dev ${name} }`,
    `on ${each.name} { add sysctl net.ipv4.ip_forward = ${dice.number(0, 1)} }`,
    ...size,
  ])
}

/** Steps: mostly packets, some changes. */
export function traffic(dice: Dice, draft: Draft, only: ReadonlySet<string>): void {
  const changing = only.size === 0 || only.has('change')
  for (let number = 1, last = dice.number(3, 9); number <= last; number += 1) {
    if (changing && dice.once(12)) draft.steps.push(change(dice, draft))
    draft.steps.push(dice.once(2) ? flow(dice, draft, `f${number}`) : packet(dice, draft, `p${number}`))
  }
}

const counters = [
  'IpInReceives',
  'IpInHdrErrors',
  'IpInAddrErrors',
  'IpForwDatagrams',
  'IpInUnknownProtos',
  'IpInDiscards',
  'IpInDelivers',
  'IpOutRequests',
  'IpOutDiscards',
  'IpOutNoRoutes',
  'IpReasmReqds',
  'IpReasmFails',
  'IpFragFails',
  'IpFragCreates',
  'IcmpInMsgs',
  'IcmpInErrors',
  'IcmpInCsumErrors',
  'IcmpOutMsgs',
  'UdpInDatagrams',
  'UdpNoPorts',
  'UdpInErrors',
  'UdpInCsumErrors',
  'IpExtInNoRoutes',
  'IpExtInTruncatedPkts',
  'IpExtInCsumErrors',
  'TcpInErrs',
  'TcpOutRsts',
  'TcpInCsumErrors',
  'TcpExtIPReversePathFilter',
]
// Not Ip6InReceives, Ip6OutRequests: reports of multicast groups count there, which only the kernel sends.
const counters6 = [
  'Ip6InHdrErrors',
  'Ip6InAddrErrors',
  'Ip6InNoRoutes',
  'Ip6InTruncatedPkts',
  'Ip6InDiscards',
  'Ip6OutForwDatagrams',
  'Ip6OutNoRoutes',
  'Ip6FragFails',
  'Udp6NoPorts',
]

/** Claims that make both sides read the counters; whether they hold does not matter. */
export function counterClaims(draft: Draft): void {
  for (const { name } of draft.hosts)
    for (const counter of draft.ipv6 ? counters6 : counters)
      draft.claims.push(`counter ${name} ${counter} == 0`)
}
