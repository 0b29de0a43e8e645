// What an algorithm adds to an ESP packet. Sizes are those of the kernel's own templates (net/xfrm/xfrm_algo.c, crypto/); the
// bytes are a stand-in (../cipher.ts).

/** Bytes that an algorithm for encryption needs. */
export interface Cipher {
  /** Bytes of the initialization vector in front of the payload. */
  readonly iv: number
  /** What the payload with its trailer is a multiple of; ESP aligns to four at least (RFC 4303 section 2.4). */
  readonly block: number
}

/** crypto_aead_ivsize(), crypto_aead_blocksize() of the algorithms that authenticate as well. */
export const aeads: Readonly<Record<string, Cipher>> = {
  'rfc4106(gcm(aes))': { iv: 8, block: 1 },
  'rfc4309(ccm(aes))': { iv: 8, block: 1 },
  'rfc4543(gcm(aes))': { iv: 8, block: 1 },
  'rfc7539esp(chacha20,poly1305)': { iv: 8, block: 1 },
}

/** ealg_list, by the names that the kernel keeps. */
export const ciphers: Readonly<Record<string, Cipher>> = {
  'cbc(aes)': { iv: 16, block: 16 },
  'cbc(des3_ede)': { iv: 8, block: 8 },
  'rfc3686(ctr(aes))': { iv: 8, block: 1 },
  'ecb(cipher_null)': { iv: 0, block: 1 },
}

/** aalg_list: what is left of the sum of an algorithm (uinfo.auth.icv_truncbits), in bits. */
export const authenticators: Readonly<Record<string, number>> = {
  'hmac(md5)': 96,
  'hmac(sha1)': 96,
  'hmac(sha256)': 96,
  'hmac(sha384)': 192,
  'hmac(sha512)': 256,
  digest_null: 0,
}

/** Other names of algorithms that people may write (xfrm_algo_desc.compat); the kernel keeps and tells its own. */
const compat: Readonly<Record<string, string>> = {
  aes: 'cbc(aes)',
  des3_ede: 'cbc(des3_ede)',
  cipher_null: 'ecb(cipher_null)',
  md5: 'hmac(md5)',
  sha1: 'hmac(sha1)',
  sha256: 'hmac(sha256)',
}

/** The name by which the kernel knows an algorithm. */
export function algorithmName(written: string): string {
  return Object.hasOwn(compat, written) ? (compat[written] as string) : written
}

/** How a security association protects its packets. */
export interface Algorithm {
  readonly iv: number
  readonly block: number
  /** Bytes of the integrity check value at the end. */
  readonly icv: number
  /** What both ends must have in common: names, lengths and keys. */
  readonly secret: string
  /** As `ip xfrm state` prints them. */
  readonly text: readonly string[]
}
