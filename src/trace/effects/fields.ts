// What has no word of its own in a trace: header fields (`ip.tos 0 -> 4`), IPv4 options, checksums. Enters: two packets;
// leaves: changes. Fields have the names of the language. A checksum is reported only when a right one became wrong or the
// other way round, which is what people look for.
import { readU8 } from '../../net/bytes.ts'
import { segmentChecksumIsRight } from '../../net/checksum.ts'
import { diffPackets } from '../../net/difference.ts'
import { type FieldValue, formatFieldValue } from '../../net/field-spec.ts'
import { ipv4At, ipv4ChecksumIsRight, ipv4HeaderLength, ipv4IsFragment } from '../../net/ipv4.ts'
import { decodeIpv4Options, type Ipv4Option } from '../../net/ipv4-options.ts'
import type { Dissection } from '../../net/layer.ts'
import { plainNaming } from '../../net/naming.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Change } from './change.ts'
import type { Layers } from './layers.ts'

/** Fields that NAT, TTL, option, MAC and VLAN changes speak of. */
const spokenOf = new Set(['ip.opt.dsr', 'eth.src', 'eth.dst', 'eth.type'])
const spokenNames = new Set(['sport', 'dport', 'ttl', 'hoplimit', 'checksum'])

function isSpokenOf(layer: string, name: string): boolean {
  const addresses = (layer === 'ip' || layer === 'ip6') && (name === 'src' || name === 'dst')
  return addresses || layer === 'vlan' || spokenNames.has(name) || spokenOf.has(`${layer}.${name}`)
}

function fieldText(value: FieldValue | undefined): string {
  return value === undefined ? 'none' : formatFieldValue(value, plainNaming)
}

/** Header fields that changed, besides those that have words of their own. */
export function compareFields(before: Dissection, after: Dissection, changes: Change[]): void {
  for (const change of diffPackets(before, after)) {
    if (change.kind !== 'field' || isSpokenOf(change.layer, change.name)) continue
    const field = `${change.layer}.${change.name}`
    changes.push({ kind: 'field', field, before: fieldText(change.before), after: fieldText(change.after) })
  }
}

/** IPv4 options that came and went, in the order of the header. */
export function compareOptions(before: Layers, after: Layers, changes: Change[]): void {
  if (before.family !== 4) return
  const oldEnd = before.l3 + ipv4HeaderLength(before.bytes, before.l3)
  const newEnd = after.l3 + ipv4HeaderLength(after.bytes, after.l3)
  if (oldEnd === before.l3 + ipv4At.options && newEnd === after.l3 + ipv4At.options) return
  const old = decodeIpv4Options(
    before.bytes,
    before.l3 + ipv4At.options,
    Math.min(oldEnd, before.bytes.length),
  )
  const now = decodeIpv4Options(after.bytes, after.l3 + ipv4At.options, Math.min(newEnd, after.bytes.length))
  const oldKeys = old.map(optionKey)
  const newKeys = now.map(optionKey)
  old.forEach((option, index) => {
    if (option.kind !== 'nop' && !newKeys.includes(oldKeys[index] ?? '')) {
      changes.push({ kind: 'option', action: 'remove', option })
    }
  })
  now.forEach((option, index) => {
    if (option.kind !== 'nop' && !oldKeys.includes(newKeys[index] ?? '')) {
      changes.push({ kind: 'option', action: 'add', option })
    }
  })
}

function optionKey(option: Ipv4Option): string {
  switch (option.kind) {
    case 'nop':
      return 'nop'
    case 'dsr':
      return `dsr ${option.address} ${option.port}`
    case 'other':
      return `${option.type} ${option.data.join()}`
    case 'end':
    case 'invalid':
      return `${option.kind} ${option.data.join()}`
  }
}

/** A checksum that was right and is wrong now, or the other way round. */
export function compareChecksums(before: Layers, after: Layers, changes: Change[]): void {
  if (before.family === 4) {
    const old = ipv4ChecksumIsRight(before.bytes, before.l3)
    const now = ipv4ChecksumIsRight(after.bytes, after.l3)
    if (old !== now) changes.push(checksumChange('ip.checksum', now))
  }
  const [old, now] = [transportIsRight(before), transportIsRight(after)]
  if (old === undefined || now === undefined || old === now) return
  changes.push(checksumChange(`${transportWord(after.protocol)}.checksum`, now))
}

function checksumChange(field: string, right: boolean): Change {
  return right
    ? { kind: 'field', field, before: 'wrong', after: 'right' }
    : { kind: 'field', field, before: 'right', after: 'wrong' }
}

function transportWord(protocol: number): string {
  switch (protocol) {
    case ipProtocol.tcp:
      return 'tcp'
    case ipProtocol.udp:
      return 'udp'
    case ipProtocol.icmp:
      return 'icmp'
    default:
      return 'icmp6'
  }
}

/** Whether the transport checksum is right; undefined where nobody can tell (fragments, other protocols). */
function transportIsRight({ bytes, l3, l4, end, protocol, family }: Layers): boolean | undefined {
  const known = protocol === ipProtocol.tcp || protocol === ipProtocol.udp
  const icmp = protocol === ipProtocol.icmp || protocol === ipProtocol.icmp6
  if (l4 < 0 || !(known || icmp)) return undefined
  if (family === 4 && ipv4IsFragment(bytes, l3)) return undefined
  if (family === 6 && readU8(bytes, l3 + 6) === ipProtocol.fragment) return undefined
  return segmentChecksumIsRight(bytes, { l3, l4, end, protocol })
}
