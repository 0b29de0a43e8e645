// skb->mark as Cilium uses it: four bits say what the packet is, the rest carries an identity, an endpoint or a port.
// lib/common.h MARK_MAGIC_*, lib/identity.h set_identity_mark(), get_identity()

export const markMask = 0x0f00

export const mark = {
  TO_PROXY: 0x0200,
  CLUSTER_ID: 0x0200,
  SNAT_DONE: 0x0300,
  OVERLAY: 0x0400,
  EGW_DONE: 0x0500,
  SKIP_TPROXY: 0x0800,
  PROXY_EGRESS_EPID: 0x0900,
  PROXY_INGRESS: 0x0a00,
  PROXY_EGRESS: 0x0b00,
  HOST: 0x0c00,
  DECRYPT: 0x0d00,
  ENCRYPT: 0x0e00,
  IDENTITY: 0x0f00,
} as const

/** The mark that carries an identity; only its low 24 bits fit. */
export function identityMark(identity: number, magic: number): number {
  return (((identity & 0xffff) << 16) | ((identity >>> 16) & 0xff) | (magic & 0xff00)) >>> 0
}

/** The identity in a mark. */
export function identityOfMark(value: number): number {
  return ((value & 0xff) << 16) | (value >>> 16)
}

/** The magic bits of a mark. */
export function magicOf(value: number): number {
  return value & markMask
}
