// Virtual time and the one queue of things to do. Nothing else in the kernel knows what time it is.
//
// Three queues make the order: the backlog (softirq work at the current time, first in, first out: what netif_rx queues),
// the polls that drivers have asked for (NAPI), and the timers (by time, then by the order in which they were set; those of one slot of the timer wheel the
// last one first).

/** Virtual nanoseconds since the scenario began (a safe integer: 104 days fit). */
export type Nanoseconds = number

/** More timers than a run sets. */
const ordersMax = 2 ** 40

export const second = 1_000_000_000
export const millisecond = 1_000_000

/** How long a machine has been up when a scenario begins: whatever programs keep times of, the first packet finds it old. */
const uptime: Nanoseconds = 3600 * second

/** CLOCK_MONOTONIC at a time of the scenario: what bpf_ktime_get_ns answers and departure times are given in. */
export function monotonic(at: Nanoseconds): Nanoseconds {
  return at + uptime
}

/** The time of the scenario that CLOCK_MONOTONIC shows so. */
export function ofMonotonic(at: Nanoseconds): Nanoseconds {
  return at - uptime
}

/** A timer that may be cancelled. */
export interface Timer {
  readonly at: Nanoseconds
  readonly order: number
  run: (() => void) | undefined
}

/** Cancels a timer; one that has fired or been cancelled is left alone. */
export function cancel(timer: Timer | undefined): void {
  if (timer !== undefined) timer.run = undefined
}

function earlier(left: Timer, right: Timer): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order)
}

/** The clock and its queues. */
export class Clock {
  now: Nanoseconds = 0
  private readonly heap: Timer[] = []
  private backlog: (() => void)[] = []
  /** softnet_data.poll_list, without the backlog's own entry, which is always the first. */
  private readonly polls: (() => void)[] = []
  private readonly resting: (() => void)[] = []
  private next = 0
  private order = 0
  private readonly tasksMax: number
  private readonly limitReached: () => void
  private tasks = 0

  /** `limitReached` is told when work was thrown away because there was more than `tasksMax` of it. */
  constructor(options: { readonly tasksMax: number; readonly limitReached?: () => void }) {
    this.tasksMax = options.tasksMax
    this.limitReached = options.limitReached ?? (() => {})
  }

  /** Queues softirq work at the current time. */
  soon(run: () => void): void {
    this.backlog.push(run)
  }

  /**
   * napi_schedule(): queues a poll of a device's ring. It comes when the backlog is through, what was added meanwhile
   * included (net/core/dev.c process_backlog()), and after it the backlog is looked at before the next poll is. A
   * backlog of more than its weight of 64 packets would let others in between; here it does not.
   */
  poll(run: () => void): void {
    this.polls.push(run)
  }

  /** Queues what a system call does when softirq work has come to rest: it held its socket's lock for so long. */
  atRest(run: () => void): void {
    this.resting.push(run)
  }

  /** Sets a timer `delay` nanoseconds from now. */
  after(delay: Nanoseconds, run: () => void): Timer {
    const timer: Timer = { at: this.now + delay, order: this.order, run }
    this.order += 1
    this.push(timer)
    return timer
  }

  /**
   * Sets a timer in a slot of the timer wheel, which is a list that grows at its head (kernel/time/timer.c
   * enqueue_timer()). Slots of a higher `level`, those of long delays, come first when several are due
   * (__run_timers()).
   */
  onWheel(delay: Nanoseconds, level: number, run: () => void): Timer {
    const timer: Timer = { at: this.now + delay, order: -(level * ordersMax + this.order), run }
    this.order += 1
    this.push(timer)
    return timer
  }

  /** Runs the backlog until it is empty. Answers `limit` when there was more than the scenario's limit of work. */
  drain(): 'idle' | 'limit' {
    for (;;) {
      const next = this.backlog[this.next]
      const run = next ?? this.polls.shift() ?? this.resting.shift()
      if (run === undefined) break
      if (next !== undefined) this.next += 1
      if (this.tasks >= this.tasksMax) return this.giveUp()
      this.tasks += 1
      run()
    }
    this.backlog = []
    this.next = 0
    return 'idle'
  }

  /**
   * Lets time pass up to `until`, running what is due, in order. Timers of one moment run one after the other: what they
   * send is received when all of them are through (TIMER_SOFTIRQ comes before NET_RX_SOFTIRQ).
   */
  advance(until: Nanoseconds): 'idle' | 'limit' {
    if (this.drain() === 'limit') return 'limit'
    for (let first = this.heap[0]; first !== undefined && first.at <= until; first = this.heap[0]) {
      this.now = Math.max(this.now, first.at)
      this.fire()
      if (this.drain() === 'limit') return 'limit'
    }
    this.now = Math.max(this.now, until)
    return 'idle'
  }

  /** Runs all timers that are due. */
  private fire(): void {
    for (let timer = this.heap[0]; timer !== undefined && timer.at <= this.now; timer = this.heap[0]) {
      this.pop()
      const { run } = timer
      timer.run = undefined
      run?.()
    }
  }

  /** The time of the next timer that is still set, or undefined. */
  nextTimer(): Nanoseconds | undefined {
    for (let first = this.heap[0]; first !== undefined; first = this.heap[0]) {
      if (first.run !== undefined) return first.at
      this.pop()
    }
    return undefined
  }

  private giveUp(): 'limit' {
    this.limitReached()
    this.backlog = []
    this.polls.length = 0
    this.next = 0
    return 'limit'
  }

  private push(timer: Timer): void {
    const heap = this.heap
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !earlier(timer, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = timer
  }

  private pop(): void {
    const heap = this.heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && earlier(right, left)) child += 1
      const smallest = heap[child]
      if (smallest === undefined || !earlier(smallest, last)) break
      heap[at] = smallest
      at = child
    }
    heap[at] = last
  }
}
