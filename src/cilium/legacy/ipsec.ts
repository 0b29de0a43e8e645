// IPsec in Cilium 1.10: the mark says the key and the identity, the fifth word of cb the tunnel endpoint, for the stack, which
// encrypts and decrypts. bpf/lib/encap.h, bpf/lib/encrypt.h
import { readLe32 } from '../../bpf/context/byte-order.ts'
import { type Ctx, PACKET_HOST } from '../datapath/ctx.ts'
import { espArrival, minEncryptKey } from '../datapath/ipsec.ts'
import { magicOf, mark } from '../datapath/mark.ts'
import { cb, withIdentity } from './slots.ts'

const keyBits = 0xf
const keyShift = 12

/** or_encrypt_key(): four bits of the mark say the key. */
function encryptMark(key: number): number {
  return ((key & keyBits) << keyShift) | mark.ENCRYPT
}

/** get_min_encrypt_key() of a peer's key; 0 without IPsec. */
export function encryptKeyOf(ctx: Ctx, peer: number): number {
  return ctx.node.ENABLE_IPSEC ? minEncryptKey(ctx, peer) : 0
}

/** Marks for the stack's policies, by key alone: set_encrypt_key_mark(). */
export function markForEncryption(ctx: Ctx, key: number): void {
  ctx.mark = encryptMark(key)
}

/** encap_and_redirect_ipsec(): a pod's packet goes to the stack, which encrypts it before it is encapsulated. CTX_ACT_OK */
export function encryptBeforeTunnel(ctx: Ctx, endpoint: Uint8Array, key: number, source: number): number {
  ctx.mark = withIdentity(encryptMark(key), source)
  ctx.setMeta(cb.ENCRYPT_DST, readLe32(endpoint, 0))
  return ctx.act.OK
}

/** encap_and_redirect_nomark_ipsec(): a mark would not outlive the way through cilium_net, cb does. CTX_ACT_OK */
export function encryptByWayOfNet(ctx: Ctx, endpoint: Uint8Array, key: number, source: number): number {
  askForEncryption(ctx, key, source)
  ctx.setMeta(cb.ENCRYPT_DST, readLe32(endpoint, 0))
  return ctx.act.OK
}

/** set_encrypt_key_meta(), set_identity_meta(): what cilium_net's program will write into the mark. */
export function askForEncryption(ctx: Ctx, key: number, source: number): void {
  ctx.setMeta(cb.ENCRYPT_MAGIC, encryptMark(key))
  ctx.setMeta(cb.ENCRYPT_IDENTITY, source)
}

/** do_decrypt(): ESP goes to the stack with the mark that asks for decryption. CTX_ACT_OK or CTX_ACT_REDIRECT. */
export function doDecrypt(ctx: Ctx, etherType: number): number {
  const esp = espArrival(ctx, etherType, magicOf(ctx.mark) === mark.DECRYPT)
  if (typeof esp === 'number') return esp
  ctx.mark = mark.DECRYPT
  ctx.changeType(PACKET_HOST)
  return ctx.act.OK
}
