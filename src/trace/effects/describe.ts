// One change of a packet as a line of text, and the level from which on it is shown.
import { bytesToHex } from '../../net/hex.ts'
import type { Ipv4Option } from '../../net/ipv4-options.ts'
import type { Level } from '../event.ts'
import type { Names } from '../names.ts'
import type { Change, Endpoint } from './change.ts'
import type { EffectOrder } from './decoders.ts'

/** Rewrites of addresses that a trace has shown so far, to recognise their reverse on replies. */
export interface NatMemory {
  readonly dnat: Set<string>
  readonly snat: Set<string>
}

/** A memory without any rewrite: the start of a case. */
export function newNatMemory(): NatMemory {
  return { dnat: new Set(), snat: new Set() }
}

/** The least level at which a change is printed. */
export function levelOf(change: Change): Level {
  switch (change.kind) {
    case 'mac':
    case 'mark':
      return 'full'
    case 'ttl':
    case 'meta':
    case 'tunnel-key':
      return 'hops'
    case 'field':
      return change.field.endsWith('.checksum') && change.after === 'right' ? 'full' : 'minimal'
    default:
      return 'minimal'
  }
}

/** Where a change stands among the effects of its hook. */
export function orderOf(change: Change): EffectOrder {
  switch (change.kind) {
    case 'dnat':
    case 'snat':
    case 'swap':
      return 'nat'
    case 'option':
      return 'option'
    case 'tunnel':
    case 'tunnel-key':
      return 'tunnel'
    case 'mac':
    case 'mark':
    case 'meta':
    case 'vlan':
    case 'vlan-set':
      return 'link'
    default:
      return 'header'
  }
}

function optionText(option: Ipv4Option, names: Names): string {
  switch (option.kind) {
    case 'nop':
      return 'nop'
    case 'dsr':
      return `dsr ${names.endpoint(option.address, option.port)}`
    case 'other':
      return `type ${option.type}${option.data.length > 0 ? ` 0x${bytesToHex(option.data)}` : ''}`
    case 'end':
    case 'invalid':
      return `${option.kind} 0x${bytesToHex(option.data)}`
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`

function natText(
  change: { kind: 'dnat' | 'snat'; before: Endpoint; after: Endpoint },
  names: Names,
  memory: NatMemory,
): string {
  const before = names.endpoint(change.before.address, change.before.port)
  const after = names.endpoint(change.after.address, change.after.port)
  const rewrite = `${before} -> ${after}`
  const undone = `${after} -> ${before}`
  if (change.kind === 'dnat' && memory.snat.has(undone)) return `snat reply ${rewrite}`
  if (change.kind === 'snat' && memory.dnat.has(undone)) return `dnat reply ${rewrite}`
  memory[change.kind].add(rewrite)
  return `${change.kind} ${rewrite}`
}

/**
 * The line for a change. A destination that goes back to what an earlier `snat` of this case replaced reads
 * `snat reply`, a source that goes back to what a `dnat` replaced reads `dnat reply`.
 */
export function describeChange(change: Change, names: Names, memory: NatMemory): string {
  switch (change.kind) {
    case 'dnat':
    case 'snat':
      return natText(change, names, memory)
    case 'swap': {
      const { before, after, layers } = change
      return `swap ${layers.join(' ')} ${names.endpoint(before.address, before.port)} <> ${names.endpoint(after.address, after.port)}`
    }
    case 'ttl':
      return `ttl ${change.before} -> ${change.after}`
    case 'field':
      return `${change.field} ${numberText(change.field, change.before, names)} -> ${numberText(change.field, change.after, names)}`
    case 'mac':
      return `eth.${change.side} ${names.mac(change.before)} -> ${names.mac(change.after)}`
    case 'mark':
      return `mark ${hex(change.before)} -> ${hex(change.after)}`
    case 'vlan':
      return `vlan ${change.action} ${vlanText(change.tci)}`
    case 'vlan-set':
      return `vlan ${vlanText(change.before)} -> ${vlanText(change.after)}`
    case 'option':
      return `ip-opt ${change.action} ${optionText(change.option, names)}`
    case 'tunnel':
      return tunnelText(change, names)
    case 'tunnel-key':
      return `tunnel ${names.ip(change.remote)}`
    case 'payload':
      return change.beforeBytes === change.afterBytes
        ? `payload changed ${change.afterBytes}B`
        : `payload ${change.beforeBytes}B -> ${change.afterBytes}B`
    case 'meta':
      return `meta ${change.beforeBytes}B -> ${change.afterBytes}B`
    case 'packet':
      return `packet ${change.before} -> ${change.after}`
  }
}

/** Sequence numbers and identifiers may be unstable; other fields are printed as they are. */
function numberText(field: string, value: string, names: Names): string {
  if (field === 'tcp.seq' || field === 'tcp.ack') return names.number('sequence', Number(value))
  return field === 'ip.id' || field === 'icmp.id' ? names.number('identifier', Number(value)) : value
}

function vlanText(tci: number): string {
  const priority = tci >>> 13
  return priority === 0 ? `${tci & 0xfff}` : `${tci & 0xfff} prio ${priority}`
}

function tunnelText(change: Extract<Change, { kind: 'tunnel' }>, names: Names): string {
  const isEsp = change.tunnel === 'esp'
  const vni = change.vni < 0 ? '' : isEsp ? ` spi ${change.vni}` : ` vni ${names.identity(change.vni)}`
  if (change.action === 'pop') return change.vni < 0 ? `${change.tunnel} end` : `${change.tunnel}${vni}`
  return `${change.tunnel}${vni} ${names.ip(change.source)} > ${names.ip(change.destination)}`
}
