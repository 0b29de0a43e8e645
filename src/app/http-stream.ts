// HTTP messages out of a stream of bytes that arrives in pieces.
import { concatBytes } from '../net/bytes.ts'
import { type HttpMessage, readHttp } from '../net/http.ts'

/** What has arrived of a connection and was not taken yet. */
export class HttpStream {
  #bytes: Uint8Array = new Uint8Array(0)

  push(data: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? data : concatBytes([this.#bytes, data])
  }

  /** The next whole message, or undefined while there is none. `to` is the method that a response answers. */
  take(to?: string): HttpMessage | 'malformed' | undefined {
    if (this.#bytes.length === 0) return undefined
    const read = readHttp(this.#bytes, to)
    if (read === 'incomplete') return undefined
    if (read === 'malformed') {
      this.#bytes = new Uint8Array(0)
      return 'malformed'
    }
    this.#bytes = this.#bytes.subarray(read.length)
    return read.message
  }
}
