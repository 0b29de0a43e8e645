// A flow between two sockets: `open send 100 recv 200 close`. One class for what the steps and claims see, one file for
// each protocol behind it.
import type { SocketOptions } from '../kernel/socket/socket.ts'
import type { FlowOperation } from '../model/step.ts'
import type { FlowResult } from './expect/context.ts'

/** A flow while the scenario runs. */
export interface Conversation {
  /** Carries out one operation and waits for its end, or for its time-out. */
  operate(operation: FlowOperation): void
  result(): FlowResult
}

/** What an operation sends: the text that the file gives, else so many bytes. */
export function dataOf({ bytes, text }: { readonly bytes: number; readonly text?: string }): Uint8Array {
  return text === undefined ? payload(bytes) : new TextEncoder().encode(text)
}

/** Bytes of a payload: `abcdefgh...`, so that a reader of a capture sees where a segment begins. */
export function payload(bytes: number): Uint8Array {
  const data = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += 1) data[at] = 97 + (at % 26)
  return data
}

/** SOCK_MIN_SNDBUF, and net.core.wmem_max. */
const sendBuffer = { least: 4608, most: 212_992 } as const

/** SO_SNDBUF (doubled, as setsockopt does), SO_MAX_PACING_RATE and SO_TXTIME of a flow. */
export function sendOptions(step: {
  readonly sendBuffer?: number
  readonly maxPacingRate?: number
  readonly departAfter?: number
  readonly recvErr?: boolean
}): Partial<SocketOptions> {
  const { sendBuffer: asked, maxPacingRate, departAfter, recvErr } = step
  return {
    ...(recvErr === undefined ? {} : { recvErr }),
    ...(asked === undefined
      ? {}
      : { sendBufferBytes: Math.max(sendBuffer.least, 2 * Math.min(asked, sendBuffer.most)) }),
    ...(maxPacingRate === undefined ? {} : { maxPacingRate }),
    ...(departAfter === undefined ? {} : { departAfter }),
  }
}

/** The most virtual time that an operation waits: longer than the kernel tries to connect (about 131 s). */
export const patience = 300_000_000_000

/** How long a receiver waits for bytes before the operation is given up. */
export const receivePatience = 30_000_000_000
