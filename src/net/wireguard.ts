// A data message of WireGuard behind UDP: four words that are readable, then what is encrypted. Before changing this file,
// read the WireGuard whitepaper, section 5.4.6, and drivers/net/wireguard/messages.h. Numbers are little endian.
import { type Malformed, malformed } from './malformed.ts'

/** A data message: type 4 with three zeros, the receiver's index of the session, the counter; then the ciphertext. */
export const wireguardAt = { type: 0, receiver: 4, counter: 8, payload: 16 } as const
/** MESSAGE_DATA */
export const wireguardData = 4
/** noise_encrypted_len(0): the tag of ChaCha20-Poly1305 behind the ciphertext (bytes). */
export const authTagBytes = 16
/** MESSAGE_MINIMUM_LENGTH: a keepalive, which carries nothing. */
export const wireguardMinimum = wireguardAt.payload + authTagBytes

export interface WireguardHeader {
  readonly receiver: number
  readonly counter: number
}

/** Whether these bytes may be a data message: the type says so, nothing else can. No multiple of 16: the MTU limits padding. */
export function isWireguardData(bytes: Uint8Array, offset: number, end: number): boolean {
  if (end - offset < wireguardMinimum) return false
  return bytes[offset] === wireguardData && bytes.subarray(offset + 1, offset + 4).every((byte) => byte === 0)
}

/** The header at `offset`. */
export function decodeWireguard(
  bytes: Uint8Array,
  offset = 0,
  end = bytes.length,
): WireguardHeader | Malformed {
  if (end - offset < wireguardAt.payload) return malformed('wireguard: shorter than its header')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return {
    receiver: view.getUint32(offset + wireguardAt.receiver, true),
    counter: Number(view.getBigUint64(offset + wireguardAt.counter, true)),
  }
}

/** Writes a header of a data message. */
export function writeWireguard(bytes: Uint8Array, offset: number, header: WireguardHeader): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint32(offset, wireguardData, true)
  view.setUint32(offset + wireguardAt.receiver, header.receiver, true)
  view.setBigUint64(offset + wireguardAt.counter, BigInt(header.counter), true)
}

/** `wireguard data receiver 0x1234abcd counter 7` */
export function describeWireguard({ receiver, counter }: WireguardHeader): string {
  return `wireguard data receiver 0x${receiver.toString(16).padStart(8, '0')} counter ${counter}`
}
