// Virtual time and the one queue of things to do. Nothing else in the kernel knows what time it is.
//
// Work at the current time is done in the order of the kernel: packets first, by the list of polls that drivers have asked for
// (NAPI; the backlog, what netif_rx queues, first in, first out, is one of them), then what processes do that packets have woken.
// Timers go by time, then by the order in which they were set; those of one slot of the timer wheel the last one first.

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

/** A poll function (struct napi_struct): true when its budget was not enough and it wants to be called again. */
type Poll = () => boolean

/** net.core.dev_weight: how many packets of the backlog one poll takes. */
const backlogWeight = 64

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
  private readonly backlog: (() => void)[] = []
  private readonly backlogPoll: Poll = () => this.processBacklog()
  private backlogScheduled = false
  /** softnet_data.poll_list: who asks to be polled in the next round. */
  private pollList: Poll[] = []
  /** The round at hand, and how far it has come; who wants to be called again comes behind the next round's others. */
  private round: Poll[] = []
  private polled = 0
  private repoll: Poll[] = []
  private readonly resting: (() => void)[] = []
  /** How many times bottom halves are disabled at this moment (local_bh_disable()), softirq work itself included. */
  private disabled = 0
  /** A system call is at work that softirq work may come in between. */
  private open = false
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

  /** netif_rx(): queues softirq work at the current time, which is done at once where bottom halves are enabled. */
  soon(run: () => void): void {
    this.backlog.push(run)
    if (!this.backlogScheduled) {
      this.backlogScheduled = true
      this.pollList.push(this.backlogPoll)
    }
    if (this.disabled === 0 && this.open) this.softirq()
  }

  /** napi_schedule(): queues a poll of a device's ring, behind the polls that wait already. */
  poll(run: Poll): void {
    this.pollList.push(run)
  }

  /**
   * Queues what a process does when softirq work has come to rest: it was woken, or its system call held the lock of its
   * socket for so long.
   */
  atRest(run: () => void): void {
    this.resting.push(run)
  }

  /**
   * Does the part of a system call that holds no lock which packets need: what its transmissions have queued is done as
   * soon as bottom halves are enabled again, before the call goes on. Inside softirq work nothing comes in between.
   */
  interruptible<T>(call: () => T): T {
    const before = this.open
    this.open = this.disabled === 0
    const answer = call()
    this.open = before
    return answer
  }

  /** local_bh_disable(). */
  disableBottomHalves(): void {
    this.disabled += 1
  }

  /** local_bh_enable(): the last one lets softirq work in. */
  enableBottomHalves(): void {
    this.disabled -= 1
    if (this.disabled === 0 && this.open) this.softirq()
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

  /** Does all work of the current time. Answers `limit` when there was more than the scenario's limit of it. */
  drain(): 'idle' | 'limit' {
    for (;;) {
      if (this.softirq() === 'limit') return 'limit'
      const run = this.resting.shift()
      if (run === undefined) return 'idle'
      this.tasks += 1
      run()
    }
  }

  /** net_rx_action(), until nobody asks to be polled. A round is what waited when it began. */
  private softirq(): 'idle' | 'limit' {
    this.disabled += 1
    for (;;) {
      const poll = this.round[this.polled]
      if (poll === undefined) {
        if (this.pollList.length === 0 && this.repoll.length === 0) break
        this.nextRound()
        continue
      }
      this.polled += 1
      if (poll !== this.backlogPoll) this.tasks += 1
      if (poll()) this.repoll.push(poll)
      if (this.tasks >= this.tasksMax && this.hasWork()) return this.giveUp()
    }
    this.disabled -= 1
    return 'idle'
  }

  private hasWork(): boolean {
    const polls = this.round.length - this.polled + this.pollList.length + this.repoll.length
    return polls > 0 || this.next < this.backlog.length
  }

  private nextRound(): void {
    const done = this.round
    done.length = 0
    this.round = this.pollList
    this.pollList = done
    this.polled = 0
    if (this.repoll.length === 0) return
    this.round.push(...this.repoll)
    this.repoll.length = 0
  }

  /** process_backlog(): what is added meanwhile included, up to the weight. */
  private processBacklog(): boolean {
    for (let work = 0; work < backlogWeight; work += 1) {
      const run = this.backlog[this.next]
      if (run === undefined) {
        this.backlog.length = 0
        this.next = 0
        this.backlogScheduled = false
        return false
      }
      if (this.tasks >= this.tasksMax) return false
      this.next += 1
      this.tasks += 1
      run()
    }
    return true
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
    this.disabled += 1
    for (let timer = this.heap[0]; timer !== undefined && timer.at <= this.now; timer = this.heap[0]) {
      this.pop()
      const { run } = timer
      timer.run = undefined
      run?.()
    }
    this.disabled -= 1
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
    this.backlog.length = 0
    this.next = 0
    this.backlogScheduled = false
    for (const polls of [this.pollList, this.round, this.repoll]) polls.length = 0
    this.polled = 0
    this.disabled -= 1
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
