// Direct server return on the node of the backend: the packet itself says which service it was sent to, and conntrack
// remembers it for the replies, which go to the client from here. lib/nodeport.h nodeport_extract_dsr_v4(),
// nodeport_dsr_ingress_ipv4() and their IPv6 siblings
import { readLe16 } from '../../bpf/context/byte-order.ts'
import { readU16 } from '../../net/bytes.ts'
import { natAddressBytes } from '../maps/ct-entry.ts'
import { NatEntry } from '../maps/nat-entry.ts'
import { type Tuple, tupleFlag } from '../maps/tuple.ts'
import { dsrEncapMode } from './config.ts'
import { ctCreate, ctLazyLookup, ctMapOf, reverseTuple, swapTuple } from './conntrack.ts'
import { ctHasDsrEgressEntry, ctUpdateDsr } from './ct-entries.ts'
import { ctDirection, ctEntryType, ctScope, ctStatus, newCtState } from './ct-state.ts'
import { tcpFlag } from './ct-update.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { type Address, type Family, protocolNumber } from './family.ts'
import { nextHeader } from './headers.ts'
import { worldId } from './identity.ts'
import { tcpFlagsAt } from './l4.ts'
import type { PacketPlace } from './nat-mapping.ts'
import { monoNow } from './time.ts'

/** DSR_IPV4_OPT_TYPE: copied, control, number 26. */
export const dsrOption4 = { type: 0x9a, length: 8 } as const
/** DSR_IPV6_OPT_TYPE in a destination options header of 24 bytes. */
export const dsrOption6 = { type: 0x1b, length: 20, headerBytes: 24 } as const
/** struct geneve_dsr_opt4, geneve_dsr_opt6 */
export const dsrGeneve = { class: 0x014b, type: 0x81, bytes4: 12, bytes6: 24 } as const
const wordsWithOption = 7
const maxHeaders = 4

/** What a packet says about the service it was sent to. */
export interface DsrInfo {
  readonly address: Address
  /** 0: a packet of a known connection that says nothing. */
  readonly port: number
}

/** Which objects look for DSR information, by how it travels. */
export function looksForDsr(ctx: Ctx): boolean {
  const { node, object } = ctx
  if (!node.ENABLE_DSR) return false
  if (object.kind === 'bpf_overlay') return node.DSR_ENCAP_MODE === dsrEncapMode.GENEVE
  const outer = object.kind === 'bpf_xdp' || object.kind === 'bpf_host' || object.kind === 'bpf_wireguard'
  return outer && node.DSR_ENCAP_MODE === dsrEncapMode.NONE
}

/** The IPv4 option: port and address lie in the byte order of a little-endian machine. */
export function readOption4(ctx: Ctx, l3Offset: number): DsrInfo | number | undefined {
  if ((ctx.packet.u8(l3Offset) & 0xf) < wordsWithOption) return undefined
  const option = ctx.load(l3Offset + 20, dsrOption4.length)
  if (option === undefined) return drop.INVALID
  if (option[0] !== dsrOption4.type || option[1] !== dsrOption4.length) return undefined
  return { address: option.slice(4, 8).reverse(), port: readLe16(option, 2) }
}

/** Bytes of an extension header and what follows it; 0 bytes for L4. */
function extension(ctx: Ctx, current: number, offset: number): { next: number; bytes: number } | number {
  const { HOP, ROUTING, FRAGMENT, AUTH, NONE, DEST } = nextHeader
  if (current === NONE) return drop.INVALID_EXTHDR
  if (![HOP, ROUTING, FRAGMENT, AUTH, DEST].some((header) => header === current)) {
    return { next: current, bytes: 0 }
  }
  const head = ctx.load(offset, 2)
  if (head === undefined) return drop.INVALID
  const [next, size] = head as unknown as [number, number]
  if (current === FRAGMENT) return { next, bytes: 8 }
  return { next, bytes: current === AUTH ? (size + 2) * 4 : (size + 1) * 8 }
}

/** find_dsr_v6(): the destination option among the extension headers. */
function readOption6(ctx: Ctx, family: Family, l3Offset: number): DsrInfo | number | undefined {
  let current = ctx.packet.u8(l3Offset + family.protocolAt)
  let offset = l3Offset + family.headerBytes
  for (let seen = 0; seen < maxHeaders; seen += 1) {
    const header = extension(ctx, current, offset)
    if (typeof header === 'number') return header
    if (header.bytes === 0) return undefined
    if (current === nextHeader.DEST && header.bytes === dsrOption6.headerBytes) {
      const option = ctx.load(offset, dsrOption6.headerBytes)
      if (option === undefined) return drop.INVALID
      if (option[2] === dsrOption6.type && option[3] === dsrOption6.length) {
        return { address: option.slice(4, 20), port: readU16(option, 20) }
      }
    }
    offset += header.bytes
    current = header.next
  }
  return drop.INVALID_EXTHDR
}

/** The option that came with the tunnel header. */
function readGeneveOption(ctx: Ctx, family: Family): DsrInfo | undefined {
  const four = family.version === 4
  const option = new Uint8Array(four ? dsrGeneve.bytes4 : dsrGeneve.bytes6)
  if (ctx.tunnelOptions(option) <= 0) return undefined
  if (readU16(option, 0) !== dsrGeneve.class || option[2] !== dsrGeneve.type) return undefined
  return { address: option.slice(4, 4 + family.addressBytes), port: readU16(option, 4 + family.addressBytes) }
}

function readOption(ctx: Ctx, family: Family, l3Offset: number): DsrInfo | number | undefined {
  if (ctx.object.kind === 'bpf_overlay') return readGeneveOption(ctx, family)
  return family.version === 4 ? readOption4(ctx, l3Offset) : readOption6(ctx, family, l3Offset)
}

/**
 * nodeport_extract_dsr_v4(), nodeport_extract_dsr_v6(): the service that the packet was sent to; undefined where it is no DSR
 * packet, or a drop reason. TCP says it only in its SYN; later packets are known by conntrack.
 */
export function extractDsr(ctx: Ctx, tuple: Tuple, place: PacketPlace): DsrInfo | number | undefined {
  const { family } = tuple
  const isTcp = tuple.nexthdr === protocolNumber.TCP
  const reversed = tuple.copy()
  if (isTcp) {
    const flags = ctx.load(place.l4Offset + tcpFlagsAt, 1)?.[0]
    if (flags === undefined) return drop.CT_INVALID_HDR
    reverseTuple(reversed)
    if ((flags & tcpFlag.SYN) === 0) {
      const known = ctHasDsrEgressEntry(ctx, ctMapOf(ctx, reversed), reversed)
      return known ? { address: new Uint8Array(family.addressBytes), port: 0 } : undefined
    }
  }
  const info = readOption(ctx, family, place.l3Offset)
  // a SYN without service: the connection shall be DSR no longer. Cilium looks for it under the flags of the other direction,
  // so that an entry of DSR stays as it is
  if (info === undefined && isTcp) ctUpdateDsr(ctx, ctMapOf(ctx, reversed), reversed, false)
  return info
}

/** snat_v4_create_dsr(): the entry of earlier versions, which still find the service by it. 0 or a drop reason. */
function createDsrMapping(ctx: Ctx, tuple: Tuple, info: DsrInfo): number {
  const { family } = tuple
  const mapping = tuple.copy()
  mapping.flags = tupleFlag.OUT
  mapping.swapPorts()
  const entry = new NatEntry(family)
  entry.created = monoNow(ctx)
  entry.toAddress = info.address
  entry.toPort = info.port
  const map = family.version === 4 ? ctx.maps.cilium_snat_v4_external : ctx.maps.cilium_snat_v6_external
  const made = ctx.update(map, mapping.bytes, entry.raw)
  if (made === 0) return 0
  ctx.extErr = made
  return drop.NAT_NO_MAPPING
}

function createEntry(ctx: Ctx, tuple: Tuple, info: DsrInfo): number {
  if (info.port === 0) return drop.INVALID
  const state = newCtState()
  state.natAddress = natAddressBytes(info.address)
  state.natPort = info.port
  state.srcSecId = worldId(ctx.node, tuple.family)
  state.dsrInternal = true
  const created = ctCreate(ctx, ctMapOf(ctx, tuple), undefined, tuple, ctDirection.EGRESS, state)
  if (isError(ctx, created)) return created
  const mapped = createDsrMapping(ctx, tuple, info)
  return isError(ctx, mapped) ? mapped : ctx.act.OK
}

/** nodeport_dsr_ingress_ipv4(), nodeport_dsr_ingress_ipv6(): tracks the connection. CTX_ACT_OK or a drop reason. */
export function dsrIngress(ctx: Ctx, tuple: Tuple, place: PacketPlace, info: DsrInfo): number {
  swapTuple(tuple)
  const found = ctLazyLookup(ctx, ctMapOf(ctx, tuple), tuple, {
    ...place,
    direction: ctDirection.EGRESS,
    scope: ctScope.FORWARD,
    entryTypes: ctEntryType.DSR,
  })
  if (found.status < 0) return found.status
  if (found.status === ctStatus.NEW) return createEntry(ctx, tuple, info)
  if (found.status !== ctStatus.ESTABLISHED) return drop.UNKNOWN_CT
  const again = tuple.nexthdr === protocolNumber.TCP && info.port !== 0
  return again ? createEntry(ctx, tuple, info) : ctx.act.OK
}
