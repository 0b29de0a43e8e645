// Sequence number arithmetic and the numbers a connection starts from (RFC 9293 section 3.4).
import type { Machine } from '../machine.ts'

/** Modulo 2^32. */
export function seqAdd(sequence: number, bytes: number): number {
  return (sequence + bytes) >>> 0
}

/** Bytes from `from` to `to`, negative when `to` lies before. */
export function seqDiff(to: number, from: number): number {
  return (to - from) | 0
}

/** Whether `left` lies before `right` (net/tcp.h before()). */
export function seqBefore(left: number, right: number): boolean {
  return ((left - right) | 0) < 0
}

/** Whether `left` lies behind `right`. */
export function seqAfter(left: number, right: number): boolean {
  return ((right - left) | 0) < 0
}

/**
 * The initial sequence number of a flow (secure_tcp_seq): a hash of the flow by the seed, plus a counter that rises with
 * time (one per 64 ns), so that a reused pair of ports goes on behind its predecessor.
 */
export function initialSequence(machine: Machine, flow: number): number {
  return (machine.random('tcp-isn', flow) + Math.floor(machine.clock.now / 64)) >>> 0
}

/** Timestamp clock (RFC 7323): milliseconds behind a start of each flow's own. */
export function timestampNow(machine: Machine, flow: number): number {
  return (machine.random('tcp-ts', flow) + Math.floor(machine.clock.now / 1_000_000)) >>> 0
}
