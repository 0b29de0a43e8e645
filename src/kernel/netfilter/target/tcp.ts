// Targets that write the header of TCP, and the two bits of congestion beside it: ipt_ECN.c, xt_TCPOPTSTRIP.c.
import { readU8, readU16, writeU8 } from '../../../net/bytes.ts'
import { replaceU16 } from '../../../net/checksum.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { tcpAt, tcpFlag, tcpHeaderLength } from '../../../net/tcp.ts'
import { tcpOptionKind } from '../../../net/tcp-options.ts'
import {
  type Action,
  actionVerdict,
  type ChainPacket,
  type Given,
  type RuleScope,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, flag, read, required, withValue } from '../match/given.ts'
import { trafficClass } from '../match/header-fields.ts'
import { parseNumber } from '../values.ts'
import { writeTrafficClass } from './fields.ts'

const { next, drop } = actionVerdict

/** What ECN writes; a field that is absent stays. */
interface EcnChange {
  readonly ip: number | undefined
  readonly ece: number | undefined
  readonly cwr: number | undefined
}

/** set_ect_tcp(): false where there is no header; of a later fragment whatever stands there is taken for one. */
function writeFlags(packet: ChainPacket, { ece, cwr }: EcnChange): boolean {
  const { skb, l4 } = packet
  if (l4 + tcpAt.options > skb.tail) return false
  const word = readU16(skb.bytes, l4 + tcpAt.dataOffset)
  let wanted = word
  if (ece !== undefined) wanted = ece === 1 ? wanted | tcpFlag.ece : wanted & ~tcpFlag.ece
  if (cwr !== undefined) wanted = cwr === 1 ? wanted | tcpFlag.cwr : wanted & ~tcpFlag.cwr
  if (wanted === word) return true
  replaceU16(skb.bytes, l4 + tcpAt.dataOffset, wanted, l4 + tcpAt.checksum)
  packet.changed = true
  return true
}

function ecnAction(change: EcnChange): Action {
  return (packet) => {
    if (change.ip !== undefined) writeTrafficClass(packet, (trafficClass(packet) & ~3) | change.ip)
    if (change.ece === undefined && change.cwr === undefined) return next
    return writeFlags(packet, change) ? next : drop
  }
}

function ecnText({ ip, ece, cwr }: EcnChange): string {
  if (ece === 0 && cwr === 0) return '--ecn-tcp-remove'
  const words: string[] = []
  if (ece !== undefined) words.push(`--ecn-tcp-ece ${ece}`)
  if (cwr !== undefined) words.push(`--ecn-tcp-cwr ${cwr}`)
  if (ip !== undefined) words.push(`--ecn-ip-ect ${ip}`)
  return words.join(' ')
}

/** A number of an option; undefined where it is not given, 'wrong' after a report. */
function readBits(
  given: readonly Given[],
  scope: RuleScope,
  name: string,
  max: number,
): number | undefined | 'wrong' {
  const option = find(given, name)
  if (option === undefined) return undefined
  return read(option, scope, (text) => parseNumber(text, max), `number from 0 to ${max}`) ?? 'wrong'
}

const ecn: TargetKind = {
  name: 'ECN',
  families: [4],
  tables: ['mangle'],
  options: [
    flag('--ecn-tcp-remove'),
    withValue('--ecn-tcp-cwr'),
    withValue('--ecn-tcp-ece'),
    withValue('--ecn-ip-ect'),
  ],
  read: (given, scope, word): TargetSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-j ECN` needs `--ecn-tcp-remove` or another option')
    const remove = find(given, '--ecn-tcp-remove') === undefined ? undefined : 0
    const ip = readBits(given, scope, '--ecn-ip-ect', 3)
    const ece = remove ?? readBits(given, scope, '--ecn-tcp-ece', 1)
    const cwr = remove ?? readBits(given, scope, '--ecn-tcp-cwr', 1)
    if (ip === 'wrong' || ece === 'wrong' || cwr === 'wrong') return undefined
    if ((ece !== undefined || cwr !== undefined) && scope.protocol !== ipProtocol.tcp)
      return scope.report(word, 'what `-j ECN` writes into TCP needs `-p tcp`')
    const change = { ip, ece, cwr }
    return { text: ecnText(change), bind: () => ecnAction(change) }
  },
}

const optionNames: ReadonlyMap<string, number> = new Map([
  ['wscale', tcpOptionKind.windowScale],
  ['mss', tcpOptionKind.mss],
  ['sack-permitted', tcpOptionKind.sackPermitted],
  ['sack', tcpOptionKind.sack],
  ['timestamp', 8],
  ['md5', 19],
])

/** `wscale,sack-permitted,5`: numbers in ascending order. */
function parseOptions(text: string): readonly number[] | undefined {
  const kinds = text.split(',').map((word) => optionNames.get(word) ?? parseNumber(word, 254))
  const known = kinds.filter((kind) => kind !== undefined)
  return known.length < kinds.length ? undefined : [...new Set(known)].sort((left, right) => left - right)
}

/** tcpoptstrip_mangle_packet(): options become as many NOPs. */
function strip(packet: ChainPacket, kinds: ReadonlySet<number>): boolean {
  const { skb, l4 } = packet
  if (l4 + tcpAt.options > skb.tail) return false
  const end = l4 + tcpHeaderLength(skb.bytes, l4)
  if (end > skb.tail) return false
  for (let at = l4 + tcpAt.options; at < end - 1; ) {
    const kind = readU8(skb.bytes, at)
    const told = readU8(skb.bytes, at + 1)
    const length = kind <= tcpOptionKind.nop || told === 0 ? 1 : told
    if (at + length > end) break
    if (kinds.has(kind)) {
      for (let i = at; i < at + length; i += 1) writeNop(packet, i)
      packet.changed = true
    }
    at += length
  }
  return true
}

/** One byte becomes a NOP, and the checksum with it. */
function writeNop({ skb, l4 }: ChainPacket, at: number): void {
  const even = at - ((at - l4) & 1)
  const word = readU16(skb.bytes, even)
  const wanted = even === at ? (tcpOptionKind.nop << 8) | (word & 0xff) : (word & 0xff00) | tcpOptionKind.nop
  if (even + 2 <= skb.tail) replaceU16(skb.bytes, even, wanted, l4 + tcpAt.checksum)
  else writeU8(skb.bytes, at, tcpOptionKind.nop)
}

const optionStrip: TargetKind = {
  name: 'TCPOPTSTRIP',
  tables: ['mangle'],
  options: [withValue('--strip-options')],
  read: (given, scope, word): TargetSpec | undefined => {
    const option = required(given, scope, '--strip-options', { word, name: '-j TCPOPTSTRIP' })
    const kinds = option && read(option, scope, parseOptions, 'list of TCP options')
    if (kinds === undefined) return undefined
    if (scope.protocol !== ipProtocol.tcp) return scope.report(word, '`-j TCPOPTSTRIP` needs `-p tcp`')
    const stripped = new Set(kinds)
    const action: Action = (packet) => (packet.fragmentOffset !== 0 || strip(packet, stripped) ? next : drop)
    return { text: `--strip-options ${kinds.join(',')}`, bind: () => action }
  },
}

/** Targets that write TCP's header. */
export const tcpTargets: readonly TargetKind[] = [ecn, optionStrip]
