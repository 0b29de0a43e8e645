// IPsec: marks that tell the kernel's xfrm policies what to encrypt with which key, and what comes to be decrypted.
// lib/ipsec.h, lib/encrypt.h

import { readLe16 } from '../../bpf/context/byte-order.ts'
import { redirectFlag } from '../../bpf/helpers/redirect.ts'
import { type Ctx, cb, PACKET_HOST } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { macBytesOf, storeDestinationMac } from './ethernet.ts'
import { type Address, enabledFamily, type Family, ipv4, ipv6, protocolNumber } from './family.ts'
import { ethernetLength, hasHeader, pullHeader } from './headers.ts'
import { identity, isClusterIdentity, isRemoteNode } from './identity.ts'
import { lookupRemoteEndpoint } from './ipcache.ts'
import { identityOfMark, mark } from './mark.ts'
import { isDecrypt, isOverlay } from './overloadable.ts'

/** Four bits of the mark say the key. */
const maxKeyIndex = 15
const nodeKeyBytes = 20

/** struct node_value */
interface NodeValue {
  /** 0: not known yet. */
  readonly id: number
  /** Index of the key that the node uses. */
  readonly spi: number
}

/** lookup_ip4_node(), lookup_ip6_node() */
function lookupNode(ctx: Ctx, family: Family, address: Address): NodeValue | undefined {
  const key = new Uint8Array(nodeKeyBytes)
  key[3] = family.endpointKey
  key.set(address, 4)
  const value = ctx.lookup(ctx.maps.cilium_node_map_v2, key)
  return value === undefined ? undefined : { id: readLe16(value, 0), spi: value[2] as number }
}

/** set_decrypt_mark(): by the key and the node that the packet comes from. */
export function setDecryptMark(ctx: Ctx, nodeId: number): void {
  ctx.mark = (mark.DECRYPT | (nodeId << 16)) >>> 0
}

/** get_min_encrypt_key(): the older of both keys, which both sides have; indexes roll over behind 15. */
export function minEncryptKey(ctx: Ctx, peer: number): number {
  const local = ctx.lookup(ctx.maps.cilium_encrypt_state, new Uint8Array(4))?.[0] ?? 0
  if (peer === maxKeyIndex) return local === 1 ? peer : local
  if (local === maxKeyIndex) return peer === 1 ? local : peer
  return Math.min(local, peer)
}

/** A packet that arrives as ESP. */
interface EspArrival {
  readonly family: Family
  readonly l3Offset: number
}

/**
 * The beginning of do_decrypt(), as all versions have it: what is left to be decrypted. Everything else has its answer: what xfrm has
 * decrypted loses its mark and, without per-endpoint routes, goes to cilium_host. CTX_ACT_OK or CTX_ACT_REDIRECT.
 */
export function espArrival(ctx: Ctx, etherType: number, decrypted: boolean): EspArrival | number {
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return ctx.act.OK
  const l3Offset = ethernetLength(ctx)
  if (!pullHeader(ctx, family, l3Offset)) {
    ctx.mark = 0
    return ctx.act.OK
  }
  if (decrypted) {
    ctx.mark = 0
    return ctx.node.ENABLE_ENDPOINT_ROUTES ? ctx.act.OK : ctx.redirect(ctx.node.CILIUM_HOST_IFINDEX, 0)
  }
  const isEsp = ctx.packet.u8(l3Offset + family.protocolAt) === protocolNumber.ESP
  return isEsp ? { family, l3Offset } : ctx.act.OK
}

/** do_decrypt(): an ESP packet of a known node is marked for xfrm. CTX_ACT_OK, CTX_ACT_REDIRECT or DROP_NO_NODE_ID. */
export function doDecrypt(ctx: Ctx, etherType: number): number {
  const esp = espArrival(ctx, etherType, isDecrypt(ctx))
  if (typeof esp === 'number') return esp
  const { family, l3Offset } = esp
  const sender = ctx.packet.copy(l3Offset + family.sourceAt, family.addressBytes)
  const nodeId = lookupNode(ctx, family, sender)?.id ?? 0
  if (nodeId === 0) return drop.NO_NODE_ID
  setDecryptMark(ctx, nodeId)
  ctx.changeType(PACKET_HOST)
  return ctx.act.OK
}

/** set_ipsec_encrypt() with use_meta: the mark for xfrm, and the identity, which the mark has no room for, in cb. */
function setEncrypt(ctx: Ctx, family: Family, node: Address, source: number): number {
  const value = lookupNode(ctx, family, node)
  if (value === undefined || value.id === 0) return drop.NO_NODE_ID
  const key = minEncryptKey(ctx, value.spi) & 0xf
  const encrypt = (mark.ENCRYPT | (key << 12) | (value.id << 16)) >>> 0
  ctx.setMeta(cb.ENCRYPT_IDENTITY, source)
  ctx.setMeta(cb.ENCRYPT_MAGIC, encrypt)
  ctx.mark = encrypt
  return ctx.act.OK
}

/** Where an encrypted packet goes: the node, whose packets, or undefined where it stays as it is. */
interface Encryption {
  readonly family: Family
  readonly node: Address
  readonly source: number
}

/** ipsec_redirect_sec_id_ok() */
function isEncryptedSource(ctx: Ctx, source: number): boolean {
  return source !== identity.HOST_ID && isClusterIdentity(ctx.node, source) && !isRemoteNode(source)
}

/** Decides about a packet that is no tunnel packet. */
function encryptionOf(ctx: Ctx, family: Family, l3Offset: number, before: number): Encryption | undefined {
  const { packet } = ctx
  const destination = packet.copy(l3Offset + family.destinationAt, family.addressBytes)
  const remote = lookupRemoteEndpoint(ctx, family, destination)
  let source = before
  if (source === identity.UNKNOWN_ID) {
    const address = packet.copy(l3Offset + family.sourceAt, family.addressBytes)
    const found = lookupRemoteEndpoint(ctx, family, address)
    if (found === undefined) return undefined
    source = found.secIdentity
  }
  if (remote === undefined || !remote.hasTunnelEndpoint || remote.key === 0) return undefined
  if (!isEncryptedSource(ctx, source)) return undefined
  const underlay = remote.ipv6TunnelEndpoint ? ipv6 : ipv4
  return { family: underlay, node: remote.tunnelEndpoint.slice(0, underlay.addressBytes), source }
}

/**
 * ipsec_maybe_redirect_to_encrypt(): marks a packet for encryption and sends it through cilium_net's ingress to xfrm. CTX_ACT_OK
 * where it stays plain, CTX_ACT_REDIRECT, or a drop reason.
 */
export function ipsecMaybeRedirectToEncrypt(ctx: Ctx, etherType: number | undefined, source: number): number {
  if (etherType === undefined) return drop.UNSUPPORTED_L2
  const family = enabledFamily(ctx, etherType)
  if (family === undefined) return ctx.act.OK
  const l3Offset = ethernetLength(ctx)
  if (!hasHeader(ctx, family, l3Offset)) return drop.INVALID
  let encryption: Encryption | undefined
  if (ctx.node.TUNNEL_MODE && isOverlay(ctx)) {
    // an encapsulated packet goes to the other node already
    const node = ctx.packet.copy(l3Offset + family.destinationAt, family.addressBytes)
    encryption = { family, node, source: identityOfMark(ctx.mark) }
  } else encryption = encryptionOf(ctx, family, l3Offset, source)
  if (encryption === undefined) return ctx.act.OK
  const marked = setEncrypt(ctx, encryption.family, encryption.node, encryption.source)
  if (marked !== ctx.act.OK) return marked
  if (storeDestinationMac(ctx, macBytesOf(ctx.node.CILIUM_NET_MAC)) !== 0) return drop.WRITE_ERROR
  const result = ctx.redirect(ctx.node.CILIUM_NET_IFINDEX, redirectFlag.BPF_F_INGRESS)
  return result === ctx.act.REDIRECT ? result : drop.INVALID
}
