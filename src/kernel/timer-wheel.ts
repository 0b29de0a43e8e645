// When a timer really fires. Linux keeps timers in a wheel of coarse slots (kernel/time/timer.c calc_wheel_index), so
// one second becomes 1.02 and eight become 8.2. The phase of the wheel is that of the recorded schedule
// (SYNs at 0, 1.02, 2.04, 3.06, 4.09, 5.11, 7.13, 11.22, 19.42 s), counted from the start of the connection (or of the
// questions about a neighbour), so that a schedule does not depend on when it began.
import { millisecond, type Nanoseconds } from './clock.ts'

/** HZ=250. */
const jiffy = 4 * millisecond
const startPhase = 9
const levels = 9

/** The granularity (jiffies) of the slot for a timer this far ahead: LVL_GRAN of the level that LVL_START selects. */
function granularity(delta: number): number {
  let size = 1
  let start = 63
  for (let level = 1; level < levels; level += 1) {
    if (delta < start) return size
    size *= 8
    start *= 8
  }
  return size
}

/** The delay until a timer set for `delay` fires, for a connection (or a question) that is `age` old. All in nanoseconds. */
export function wheelDelay(age: Nanoseconds, delay: Nanoseconds): Nanoseconds {
  const now = Math.floor(age / jiffy) + startPhase
  const expires = now + Math.ceil(delay / jiffy)
  const slot = granularity(expires - now)
  const fires = Math.floor((expires + slot) / slot) * slot
  return (fires - startPhase) * jiffy - age
}
