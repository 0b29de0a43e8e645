// Which options a short packet has: a word that its protocol has no place for is a mistake, never passed over.
import type { PacketOptionName, ShortPacket } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { isNothing } from '../words/fill.ts'
import { integerOf } from '../words/numbers.ts'
import type { Scope } from './scope.ts'

type Options = readonly PacketOptionName[]

const frame: Options = ['eth.src', 'eth.dst', 'vlan', 'count', 'mark']
const bytes: Options = ['payload', 'hex', 'len']
const anyIp: Options = ['ttl', 'hoplimit', 'tos', 'dscp', 'ecn']
const ip4: Options = ['ip-id', 'frag', 'df', 'mf']
const echo: Options = ['id', 'seq']

const upper: Readonly<Record<string, Options>> = {
  tcp: ['flags', 'seq', 'ack', 'window', 'mss', 'urgent', 'checksum'],
  udp: ['checksum'],
  sctp: ['checksum'],
  icmp: ['type', 'code', 'id', 'seq', 'mtu', 'checksum'],
  icmp6: ['type', 'code', 'id', 'seq', 'mtu', 'checksum'],
  ip: ['checksum'],
  esp: ['checksum'],
  gre: ['checksum'],
  igmp: ['checksum'],
}

/** Words behind the protocol; ICMP has names of its own, which its reader checks. */
const types: Readonly<Record<string, readonly string[]>> = {
  arp: ['request', 'reply', 'gratuitous'],
  sctp: ['init', 'abort', 'data'],
}

/** Options that say the same thing: only one of them can stand. */
const rivals: readonly Options[] = [
  ['payload', 'hex', 'len'],
  ['ttl', 'hoplimit'],
  ['tos', 'dscp'],
  ['tos', 'ecn'],
]

const echoes: readonly (string | undefined)[] = ['echo-request', 'echo-reply', undefined]
const solicitations: readonly (string | undefined)[] = [
  'ns',
  'na',
  'rs',
  'neighbour-solicitation',
  'neighbour-advertisement',
  'router-solicitation',
]

/** Reports what the protocol of a short packet has no place for, and what is said twice. */
export function checkPacketOptions(packet: ShortPacket, family: 4 | 6, scope: Scope): void {
  checkType(packet, scope)
  const protocol = packet.protocol.text
  const own = optionsOf(packet, family)
  for (const option of packet.options) {
    if (own.includes(option.name)) continue
    const hint = `it has ${own.map((name) => `\`${name}\``).join(', ')}`
    const message = `${article(protocol)} ${protocol} packet has no \`${option.name}\`${reasonOf(packet, option.name, family)}`
    scope.report(mistake('S142', option.span, message, { hint }))
  }
  const again = packet.type === null ? undefined : packet.options.find(({ name }) => name === 'type')
  if (again !== undefined && packet.type !== null)
    scope.report(
      mistake('S142', again.span, '`type` says it again', {
        hint: `\`${packet.type.text}\` says it already`,
      }),
    )
  for (const group of rivals) {
    const [first, second] = packet.options.filter(({ name }) => group.includes(name))
    if (first === undefined || second === undefined || first.name === second.name) continue
    const hint = `\`${first.name}\` says it already`
    scope.report(mistake('S142', second.span, `\`${second.name}\` says it again`, { hint }))
  }
}

function article(word: string): string {
  return /^[aeiou]/.test(word) ? 'an' : 'a'
}

function typeOf({ type, options }: ShortPacket): string | undefined {
  const word = type ?? options.find(({ name }) => name === 'type')?.values[0]
  return word === undefined || isNothing(word) ? undefined : word.text
}

function optionsOf(packet: ShortPacket, family: 4 | 6): Options {
  const protocol = packet.protocol.text
  if (protocol === 'arp') return frame
  const own = (upper[protocol] ?? []).filter(
    (name) => !(family === 6 && name === 'checksum' && !(protocol in withChecksum)),
  )
  const all = [...frame, ...bytes, ...anyIp, ...(family === 4 ? ip4 : []), ...own]
  if (protocol !== 'icmp' && protocol !== 'icmp6') return all
  const type = typeOf(packet)
  if (protocol === 'icmp6' && solicitations.includes(type))
    return all.filter((name) => name !== 'code' && name !== 'mtu' && !echo.includes(name))
  const isEcho = echoes.includes(type) || [0, 8, 128, 129].includes(integerOf(type ?? '') ?? -1)
  return all.filter((name) => (isEcho ? name !== 'mtu' : !echo.includes(name)))
}

/** Transport headers with a checksum of 16 bits; elsewhere the option means that of IPv4. */
const withChecksum: Readonly<Record<string, true>> = { tcp: true, udp: true, icmp: true, icmp6: true }

function reasonOf(packet: ShortPacket, name: PacketOptionName, family: 4 | 6): string {
  if (family === 6 && ip4.includes(name)) return ' in IPv6'
  const type = typeOf(packet)
  const isIcmp = packet.protocol.text === 'icmp' || packet.protocol.text === 'icmp6'
  return isIcmp && type !== undefined && name in icmpOnly ? ` as ${type}` : ''
}

const icmpOnly: Readonly<Record<string, true>> = { id: true, seq: true, mtu: true, code: true }

function checkType({ type, protocol }: ShortPacket, scope: Scope): void {
  if (type === null || isNothing(type) || protocol.text.startsWith('icmp')) return
  const own = types[protocol.text] ?? []
  if (own.includes(type.text)) return
  const hint = own.length === 0 ? 'leave it out' : `one of ${own.join(', ')}`
  const message = `no ${protocol.text} packet is called \`${type.text}\``
  scope.report(mistakeIn('S136', type, message, { hint }))
}
