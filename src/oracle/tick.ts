// The kernel's tick. In the model the calls of one step are made at one time; of the real ones a tick may come between, in
// which the kernel does by itself what the later call would have done: the server's acknowledges a FIN before its end is
// closed (tcp_send_delayed_ack: before any data the timer has no delay). Such a run says nothing; it is noticed here.
import type { Libc } from './native.ts'

/** CLOCK_MONOTONIC_COARSE: moves with each tick, and only then (tick_do_update_jiffies64). */
const coarseMonotonic = 6
/** More than this between two looks at the world is longer than any work takes: the process did not run. */
const longestLookMs = 10

/** Which tick it is: a number that grows with each. */
export function tickClock(libc: Libc): () => bigint {
  const time = new Uint8Array(16)
  const view = new DataView(time.buffer)
  return () => {
    libc.clock_gettime(coarseMonotonic, time)
    return view.getBigInt64(0, true) * 1_000_000_000n + view.getBigInt64(8, true)
  }
}

/** Whether the process was too late somewhere. */
export class Punctuality {
  /** A tick came between two calls that belong together, the process was kept waiting for long, the link watcher came soon. */
  disturbed = false
  private readonly tick: () => bigint
  /** The tick in which the present step closed its first end. */
  private first: bigint | undefined

  constructor(tick: () => bigint) {
    this.tick = tick
  }

  /** What was closed before belongs to another step. */
  newStep(): void {
    this.first = undefined
  }

  /** Closes one end of a connection, or one direction; those of one step belong together. */
  closing<T>(close: () => T): T {
    this.first ??= this.tick()
    const result = close()
    if (this.tick() !== this.first) this.disturbed = true
    return result
  }

  /** So many milliseconds after the last look the world is looked at again. */
  looked(milliseconds: number): void {
    if (milliseconds > longestLookMs) this.disturbed = true
  }
}

/** Asks until an answer counts: a difference that a late call explains is asked about again, so many times at most. */
export function untilPunctual<T extends { readonly kind: string }>(
  ask: () => { readonly result: T; readonly disturbed: boolean },
  most: number,
): T {
  for (let asked = 1; ; asked += 1) {
    const { result, disturbed } = ask()
    if (result.kind !== 'differs' || !disturbed || asked >= most) return result
  }
}
