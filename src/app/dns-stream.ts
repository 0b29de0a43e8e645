// DNS messages in a stream of bytes: each behind its length (RFC 1035 section 4.2.2).
import { concatBytes, readU16, writeU16 } from '../net/bytes.ts'

const lengthBytes = 2

/** A message as it goes into a stream. */
export function framedDns(message: Uint8Array): Uint8Array {
  const length = new Uint8Array(lengthBytes)
  writeU16(length, 0, message.length)
  return concatBytes([length, message])
}

/** What has arrived of a connection and was not taken yet. */
export class DnsStream {
  #bytes: Uint8Array = new Uint8Array(0)

  push(data: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? data : concatBytes([this.#bytes, data])
  }

  /** The next whole message, or undefined while there is none. */
  take(): Uint8Array | undefined {
    const bytes = this.#bytes
    if (bytes.length < lengthBytes) return undefined
    const end = lengthBytes + readU16(bytes, 0)
    if (bytes.length < end) return undefined
    this.#bytes = bytes.subarray(end)
    return bytes.slice(lengthBytes, end)
  }
}
