// A flow between two sockets: `open send 100 recv 200 close`. One class for what the steps and claims see, one file for
// each protocol behind it.
import { failed } from '../kernel/socket/errno.ts'
import type { Socket, SocketOptions } from '../kernel/socket/socket.ts'
import { peerName } from '../kernel/socket/udp.ts'
import type { FlowOperation, FlowStep } from '../model/step.ts'
import { letters } from '../net/bytes.ts'
import type { FlowResult } from './expect/context.ts'
import type { Run } from './run-state.ts'

/** A flow while the scenario runs. */
export abstract class Conversation {
  protected readonly run: Run
  protected readonly step: FlowStep
  /** The first error of each call, by the call's name. */
  protected readonly errnos = new Map<string, string>()

  constructor(run: Run, step: FlowStep) {
    this.run = run
    this.step = step
  }

  /** Carries out one operation and waits for its end, or for its time-out. */
  abstract operate(operation: FlowOperation): void
  abstract result(): FlowResult

  /** Keeps what a call answered, where it failed and is the first of its name to fail. */
  protected note(call: string, answer: object): void {
    if ('errno' in answer && typeof answer.errno === 'string' && !this.errnos.has(call))
      this.errnos.set(call, answer.errno)
  }
}

/** What getsockname() tells of a flow's socket; undefined before there is one. */
export function localNameOf(socket: Socket | undefined): FlowResult['localName'] {
  return socket === undefined ? undefined : { address: socket.localAddress, port: socket.localPort }
}

/** What getpeername() tells; undefined where it fails, too. */
export function peerNameOf(socket: Socket | undefined): FlowResult['peerName'] {
  if (socket === undefined) return undefined
  const name = peerName(socket)
  return failed(name) ? undefined : name.ok
}

/** IP_TTL, IP_TOS, SO_MARK and IP_MTU_DISCOVER of a flow, under the names of both families. */
export function ipOptions({ ttl, tos, mark, dontFragment }: FlowStep): Partial<SocketOptions> {
  return {
    ...(ttl === undefined ? {} : { ttl }),
    ...(tos === undefined ? {} : { tos }),
    ...(mark === undefined ? {} : { mark }),
    ...(dontFragment === undefined ? {} : { mtuDiscover: dontFragment }),
  }
}

/** What an operation sends: the text that the file gives, else so many bytes. */
export function dataOf({ bytes, text }: { readonly bytes: number; readonly text?: string }): Uint8Array {
  return text === undefined ? letters(bytes) : new TextEncoder().encode(text)
}

/** SOCK_MIN_SNDBUF, and net.core.wmem_max. */
const sendBuffer = { least: 4608, most: 212_992 } as const

/** SO_SNDBUF (doubled, as setsockopt does), SO_MAX_PACING_RATE, SO_TXTIME and IP_RECVERR of a flow. */
function sendOptions(step: FlowStep): Partial<SocketOptions> {
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

/** All that a flow of TCP or UDP sets at its client's socket. */
export function socketOptions(step: FlowStep): Partial<SocketOptions> {
  return { ...ipOptions(step), ...sendOptions(step) }
}

/** The most virtual time that an operation waits: longer than the kernel tries to connect (about 131 s). */
export const patience = 300_000_000_000

/** How long a receiver waits for bytes before the operation is given up, unless its flow says so. */
export const receivePatience = 30_000_000_000
