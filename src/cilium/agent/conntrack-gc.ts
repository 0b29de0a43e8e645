// How long an agent waits until it collects conntrack again: less where the last round found much to delete, more where it found
// little. pkg/maps/ctmap/gc Enable(), getIntervalWithConfig(); in 1.10 pkg/maps/ctmap GetInterval(). Times are nanoseconds.

const second = 1_000_000_000

/** ConntrackGCStartingInterval, which stays where nothing was deleted. */
const startingInterval = 300 * second
/** ConntrackGCMinInterval */
const minInterval = 10 * second
/** ConntrackGCMaxLRUInterval */
const maxLruInterval = 12 * 3600 * second

/** Settings of the agent. */
export interface ConntrackGcOptions {
  /** conntrack-gc-interval: every round waits so long; 0: it depends on what rounds find. */
  readonly interval: number
  /** conntrack-gc-max-interval, of 1.19; 0: there is none but that of the agent. */
  readonly maxInterval: number
}

/** What a round found. */
export interface ConntrackRound {
  readonly at: number
  /** Of all maps the largest share of what they can hold that was deleted. */
  readonly ratio: number
  /** Whether all families were looked at, as they are unless a signal asked for one. */
  readonly full: boolean
}

/** calculateInterval(): `ratio` above a quarter shortens, one below a twentieth lengthens. */
function calculated(previous: number, ratio: number): number {
  const rounded = (factor: number): number => Math.round((previous * factor) / second) * second
  if (ratio === 0) return previous
  if (ratio > 0.25) return Math.max(rounded(1 - Math.min(ratio, 0.9)), minInterval)
  return ratio < 0.05 ? Math.min(rounded(1.5), maxLruInterval) : previous
}

/** The pace of one agent's collector, which has made its initial scan when it begins. */
export class ConntrackPace {
  readonly #options: ConntrackGcOptions
  readonly #legacy: boolean
  /** The interval that was calculated last; 0: none was. */
  #expected = 0
  #previous: number | undefined
  /** Until when all families have to be looked at again. */
  #fullUntil = 0

  constructor(options: ConntrackGcOptions, legacy: boolean) {
    this.#options = options
    this.#legacy = legacy
  }

  /** How long to wait after a round. */
  after(round: ConntrackRound): number {
    return this.#legacy ? this.#afterLegacy(round) : this.#afterRound(round)
  }

  /** GetInterval(): the interval is kept where something was deleted. */
  #afterLegacy({ ratio }: ConntrackRound): number {
    if (this.#options.interval !== 0) return this.#options.interval
    const interval = calculated(this.#expected || startingInterval, ratio)
    if (ratio !== 0) this.#expected = interval
    return interval
  }

  #afterRound(round: ConntrackRound): number {
    const { at, full } = round
    const first = this.#previous === undefined
    const interval = this.#interval(round, at - (this.#previous ?? at))
    this.#previous = at
    if (full) {
      this.#fullUntil = at + interval
      this.#expected = interval
      return interval
    }
    // the other family may not wait longer than it was told
    const left = Math.max(0, this.#fullUntil - at)
    if (first || left >= interval) {
      if (!first) this.#expected = interval
      return interval
    }
    return left
  }

  /** getIntervalWithConfig(): what an early round found counts for the whole interval; `elapsed` since the round before. */
  #interval({ ratio }: ConntrackRound, elapsed: number): number {
    const { interval, maxInterval } = this.#options
    if (interval !== 0) return interval
    const expected = this.#expected || startingInterval
    const early = this.#expected !== 0 && elapsed > 0 && elapsed < expected
    const next = calculated(expected, early ? (ratio * expected) / elapsed : ratio)
    return maxInterval !== 0 ? Math.min(next, maxInterval) : next
  }
}
