// When a timer really fires. Linux keeps timers in a wheel of coarse slots (kernel/time/timer.c calc_wheel_index), so
// one second becomes 1.02 and eight become 8.2. The phase of the wheel is that of the recorded schedule
// (SYNs at 0, 1.02, 2.04, 3.06, 4.09, 5.11, 7.13, 11.22, 19.42 s), counted from the start of the connection (or of the
// questions about a neighbour), so that a schedule does not depend on when it began.
import { type Clock, millisecond, type Nanoseconds, type Timer } from './clock.ts'

/** HZ=250. */
const jiffy = 4 * millisecond
const startPhase = 9
const levels = 9

/** The level of the slot for a timer this far ahead, in jiffies: the last one whose LVL_START is not above it. */
function levelOf(delta: number): number {
  let level = 0
  for (let start = 63; level + 1 < levels && delta >= start; start *= 8) level += 1
  return level
}

/** When a timer that was set for `delay` fires, and the level of its slot. All in nanoseconds from now. */
function slotOf(
  age: Nanoseconds,
  delay: Nanoseconds,
): { readonly delay: Nanoseconds; readonly level: number } {
  const now = Math.floor(age / jiffy) + startPhase
  const expires = now + Math.ceil(delay / jiffy)
  const level = levelOf(expires - now)
  const slot = 8 ** level
  const fires = Math.floor((expires + slot) / slot) * slot
  return { delay: (fires - startPhase) * jiffy - age, level }
}

/** The delay until a timer set for `delay` fires, for a connection (or a question) that is `age` old. All in nanoseconds. */
export function wheelDelay(age: Nanoseconds, delay: Nanoseconds): Nanoseconds {
  return slotOf(age, delay).delay
}

/** Sets a timer of a connection (or a question) that is `age` old. */
export function setOnWheel(
  clock: Clock,
  { age, delay }: { readonly age: Nanoseconds; readonly delay: Nanoseconds },
  run: () => void,
): Timer {
  const slot = slotOf(age, delay)
  return clock.onWheel(slot.delay, slot.level, run)
}
