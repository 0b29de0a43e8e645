// skb_get_hash(): one number for both directions of a flow (__flow_hash_consistentify of net/core/flow_dissector.c).
// The kernel seeds it once per boot; here the seed of the run does.
import { readU16, readU32 } from '../net/bytes.ts'
import { etherType, ipProtocol } from '../net/protocol.ts'
import { behindOptions6 } from './early-dissect.ts'
import type { Skb } from './skb.ts'

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85eb_ca6b)
  return mixed ^ (mixed >>> 15)
}

/** Folds an address of 4 or 16 bytes into 32 bits. */
function fold(bytes: Uint8Array, offset: number, length: number): number {
  let folded = 0
  for (let at = 0; at < length; at += 4) folded = mix(folded, readU32(bytes, offset + at))
  return folded >>> 0
}

function hasPorts(protocol: number): boolean {
  return protocol === ipProtocol.tcp || protocol === ipProtocol.udp || protocol === ipProtocol.sctp
}

interface Keys {
  readonly source: number
  readonly destination: number
  readonly protocol: number
  /** Offset of the ports, or -1: fragments, protocols without any, and packets with a flow label. */
  readonly ports: number
  /** IPv6 flow label, which stands for everything behind the addresses (FLOW_DISSECTOR_F_STOP_AT_FLOW_LABEL); 0 for none. */
  readonly label: number
}

/** What IPv6 carries behind options; no piece of a packet has ports. */
function transportOf(bytes: Uint8Array, l3: number): Pick<Keys, 'protocol' | 'ports'> {
  const { protocol, at, isPiece } = behindOptions6(bytes, l3, bytes.length)
  return { protocol, ports: !isPiece && hasPorts(protocol) && at + 4 <= bytes.length ? at : -1 }
}

function keysOf(skb: Skb): Keys | undefined {
  const { bytes, networkHeader: l3 } = skb
  if (l3 < 0) return undefined
  if (skb.protocol === etherType.ipv4) {
    const protocol = bytes[l3 + 9] ?? 0
    const fragment = (readU16(bytes, l3 + 6) & 0x3fff) !== 0
    const l4 = l3 + ((bytes[l3] ?? 0) & 15) * 4
    return {
      source: fold(bytes, l3 + 12, 4),
      destination: fold(bytes, l3 + 16, 4),
      protocol,
      ports: hasPorts(protocol) && !fragment ? l4 : -1,
      label: 0,
    }
  }
  if (skb.protocol !== etherType.ipv6) return undefined
  const label = readU32(bytes, l3) & 0xf_ffff
  const behind = label === 0 ? transportOf(bytes, l3) : { protocol: bytes[l3 + 6] ?? 0, ports: -1 }
  return { source: fold(bytes, l3 + 8, 16), destination: fold(bytes, l3 + 24, 16), ...behind, label }
}

/**
 * The hash of a packet: its socket's, or that of its flow, computed once and kept in `skb.hash`; never 0 for IP packets, 0 for
 * anything else.
 */
export function flowHash(skb: Skb): number {
  if (skb.hash !== 0) return skb.hash
  const keys = keysOf(skb)
  if (keys === undefined) return 0
  skb.hash = hashOf(skb, keys)
  skb.l4Hash = keys.ports >= 0 || keys.label !== 0
  return skb.hash
}

/** A number of the packet's addresses and ports alone; the packet does not keep it. */
export function flowNumber(skb: Skb): number {
  const keys = keysOf(skb)
  return keys === undefined ? 0 : hashOf(skb, keys)
}

/** skb_clear_hash_if_not_l4(): what tunnels forget. */
export function forgetHashWithoutPorts(skb: Skb): void {
  if (!skb.l4Hash) skb.hash = 0
}

function hashOf(skb: Skb, keys: Keys): number {
  const sport = keys.ports < 0 ? 0 : readU16(skb.bytes, keys.ports)
  const dport = keys.ports < 0 ? 0 : readU16(skb.bytes, keys.ports + 2)
  const forward = keys.source < keys.destination || (keys.source === keys.destination && sport <= dport)
  const ports = forward ? (sport << 16) | dport : (dport << 16) | sport
  const rest = keys.label === 0 ? ports : keys.label
  const ends = forward
    ? mix(mix(keys.protocol, keys.source), keys.destination)
    : mix(mix(keys.protocol, keys.destination), keys.source)
  return skb.dev.ns.machine.random('flow hash', mix(ends, rest) >>> 0) || 1
}
