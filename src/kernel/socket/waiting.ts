// Waiting on the virtual clock: what a program that blocks in a system call does, without blocking anybody.
// The machine itself runs until something has become true or the time is up.
import type { Nanoseconds } from '../clock.ts'
import type { Machine } from '../machine.ts'
import type { Errno } from './errno.ts'
import { socketState } from './socket.ts'
import type { TcpSocket } from './tcp-socket.ts'

/** How a wait ended: what was waited for is true, the time is up, or the scenario's limit of work was reached. */
export type Waited = 'done' | 'timeout' | 'limit'

/** Lets the machine work, and time pass, until `done` holds, at most `timeout` nanoseconds. */
export function runUntil(machine: Machine, done: () => boolean, timeout: Nanoseconds): Waited {
  const { clock } = machine
  const deadline = clock.now + timeout
  if (clock.drain() === 'limit') return 'limit'
  while (!done()) {
    const next = clock.nextTimer()
    if (next === undefined || next > deadline) {
      if (clock.advance(deadline) === 'limit') return 'limit'
      return done() ? 'done' : 'timeout'
    }
    if (clock.advance(next) === 'limit') return 'limit'
  }
  return 'done'
}

/** What can be said of a connection without looking into it. */
export interface FlowStatus {
  readonly state: 'opening' | 'established' | 'closing' | 'closed' | 'failed'
  /** The error that ended or will end it; still pending, not taken. */
  readonly errno: Errno | undefined
  /** Bytes that wait to be read. */
  readonly readable: number
  /** The peer has sent everything it ever will. */
  readonly ended: boolean
  /** All bytes written were acknowledged. */
  readonly flushed: boolean
}

function stateOf(socket: TcpSocket): FlowStatus['state'] {
  if (socket.error !== undefined) return 'failed'
  switch (socket.state) {
    case socketState.synSent:
    case socketState.synReceived:
      return 'opening'
    case socketState.established:
      return 'established'
    case socketState.close:
    case socketState.timeWait:
      return 'closed'
    default:
      return 'closing'
  }
}

/** The status of a connection now. */
export function flowStatus(socket: TcpSocket): FlowStatus {
  return {
    state: stateOf(socket),
    errno: socket.error,
    readable: socket.receivedBytes,
    ended: socket.peerClosed,
    flushed: socket.sndUna === socket.writeSeq,
  }
}
