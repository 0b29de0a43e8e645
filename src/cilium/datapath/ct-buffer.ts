// What the program that asked conntrack hands to the next one through a per-CPU array: struct ct_buffer4, struct ct_buffer6
// of bpf_lxc.c, also used by the host firewall. lib/conntrack.h
import { readLe16, readLe32, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { readU16, readU32, writeU16, writeU32 } from '../../net/bytes.ts'
import { Tuple } from '../maps/tuple.ts'
import type { CtResult, CtState } from './ct-state.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Family } from './family.ts'
import { type FragmentInfo, wholePacket } from './fragments.ts'

/** Bytes of struct ct_buffer4 and struct ct_buffer6. */
export const ctBuffer4Bytes = 64
export const ctBuffer6Bytes = 96
/** struct dsr_nat_info: an address of 16 bytes and a port. bpf_lxc.c */
export const dsrNatBufferBytes = 18

/** Offsets after the tuple, which fills 16 or 40 bytes. */
const after = { natAddress: 0, natPort: 16, revNatIndex: 18, bits: 20, srcSecId: 24, backendId: 28 } as const
const stateBytes = 32
const monitorAt = stateBytes
const statusAt = stateBytes + 4
const l4OffsetAt = stateBytes + 8
const fragmentAt = stateBytes + 16

/** The bit field of struct ct_state, from its lowest bit. */
const stateBits = [
  'loopback',
  'nodePort',
  'dsrInternal',
  'syn',
  'proxyRedirect',
  'fromL7lb',
  undefined,
  'fromTunnel',
  'closing',
] as const

/** IPFRAG_BIT_*, in the byte above the protocol. */
const fragmentBit = { FRAGMENTED: 1, NO_L4_HEADER: 2 } as const

/** What the buffer holds. */
export interface CtBuffer {
  readonly tuple: Tuple
  readonly state: CtState
  readonly result: CtResult
  readonly l4Offset: number
  /** IPv6 only: IPv4 reads it from the packet again. */
  readonly fragment: FragmentInfo
}

const zero = new Uint8Array(4)

function mapOf(ctx: Ctx, family: Family) {
  return family.version === 4 ? ctx.maps.tailCallBuffer4 : ctx.maps.tailCallBuffer6
}

function tupleBytes(family: Family): number {
  return family.version === 4 ? 16 : 40
}

function writeState(bytes: Uint8Array, at: number, state: CtState): void {
  bytes.set(state.natAddress, at + after.natAddress)
  writeU16(bytes, at + after.natPort, state.natPort)
  writeLe16(bytes, at + after.revNatIndex, state.revNatIndex)
  let bits = 0
  stateBits.forEach((name, bit) => {
    if (name !== undefined && state[name]) bits |= 1 << bit
  })
  writeLe16(bytes, at + after.bits, bits)
  writeLe32(bytes, at + after.srcSecId, state.srcSecId)
  writeLe32(bytes, at + after.backendId, state.backendId)
}

function readState(bytes: Uint8Array, at: number): CtState {
  const bits = readLe16(bytes, at + after.bits)
  const has = (name: (typeof stateBits)[number]): boolean => (bits & (1 << stateBits.indexOf(name))) !== 0
  return {
    natAddress: bytes.slice(at, at + 16),
    natPort: readU16(bytes, at + after.natPort),
    revNatIndex: readLe16(bytes, at + after.revNatIndex),
    loopback: has('loopback'),
    nodePort: has('nodePort'),
    dsrInternal: has('dsrInternal'),
    syn: has('syn'),
    proxyRedirect: has('proxyRedirect'),
    fromL7lb: has('fromL7lb'),
    fromTunnel: has('fromTunnel'),
    closing: has('closing'),
    srcSecId: readLe32(bytes, at + after.srcSecId),
    backendId: readLe32(bytes, at + after.backendId),
  }
}

/** fraginfo_t as eight bytes: identification as it stood in the packet, protocol, bits. */
function writeFragment(bytes: Uint8Array, at: number, fragment: FragmentInfo): void {
  writeU32(bytes, at, fragment.id)
  bytes[at + 4] = fragment.protocol
  bytes[at + 5] =
    (fragment.isFragment ? fragmentBit.FRAGMENTED : 0) | (fragment.hasL4Header ? 0 : fragmentBit.NO_L4_HEADER)
}

function readFragment(bytes: Uint8Array, at: number): FragmentInfo {
  const bits = bytes[at + 5] as number
  return {
    id: readU32(bytes, at),
    protocol: bytes[at + 4] as number,
    isFragment: (bits & fragmentBit.FRAGMENTED) !== 0,
    hasL4Header: (bits & fragmentBit.NO_L4_HEADER) === 0,
  }
}

/** map_update_elem(&cilium_tail_call_buffer): 0 or DROP_INVALID_TC_BUFFER. */
export function storeCtBuffer(ctx: Ctx, family: Family, buffer: CtBuffer): number {
  const at = tupleBytes(family)
  const bytes = new Uint8Array(family.version === 4 ? ctBuffer4Bytes : ctBuffer6Bytes)
  bytes.set(buffer.tuple.bytes, 0)
  writeState(bytes, at, buffer.state)
  writeLe32(bytes, at + monitorAt, buffer.result.monitor)
  writeLe32(bytes, at + statusAt, buffer.result.status)
  writeLe32(bytes, at + l4OffsetAt, buffer.l4Offset)
  if (family.version === 6) writeFragment(bytes, at + fragmentAt, buffer.fragment)
  return ctx.update(mapOf(ctx, family), zero, bytes) < 0 ? drop.INVALID_TC_BUFFER : 0
}

/** The buffer that the program before left; undefined where it is empty. The tuple is the live one of the map. */
export function loadCtBuffer(ctx: Ctx, family: Family): CtBuffer | undefined {
  const bytes = ctx.lookup(mapOf(ctx, family), zero)
  if (bytes === undefined) return undefined
  const at = tupleBytes(family)
  const tuple = Tuple.of(bytes.subarray(0, family.addressBytes * 2 + 6))
  if (tuple.saddr.every((byte) => byte === 0)) return undefined
  return {
    tuple,
    state: readState(bytes, at),
    result: { status: readLe32(bytes, at + statusAt) | 0, monitor: readLe32(bytes, at + monitorAt) },
    l4Offset: readLe32(bytes, at + l4OffsetAt),
    fragment: family.version === 6 ? readFragment(bytes, at + fragmentAt) : wholePacket,
  }
}
