// What is said of repeated measurements: the median and how sure it is. Numbers go in; an estimate comes out, the same
// one every time for the same numbers.

/** A median with its 95 % bootstrap interval. */
export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** The middle of the values; of an even count the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  const upper = sorted[half] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2
}

/** A generator of numbers in [0, 1) from a seed (mulberry32): resampling and shuffling must be repeatable. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** The values in another order (Fisher and Yates). */
export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const order = [...values]
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1))
    const moved = order[last]!
    order[last] = order[other]!
    order[other] = moved
  }
  return order
}

/** The median of the values and the 2.5th and 97.5th percentile of the medians of 2,000 resamples. */
export function estimate(values: readonly number[]): Estimate {
  const random = randomFrom(values.length)
  const medians = Array.from({ length: 2000 }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b)
  const at = (share: number): number => medians[Math.floor(share * (medians.length - 1))] ?? Number.NaN
  return { median: median(values), low: at(0.025), high: at(0.975) }
}

/** The estimate of the quotients of two lists, pair by pair. */
export function ratio(measured: readonly number[], reference: readonly number[]): Estimate {
  return estimate(measured.map((value, round) => value / (reference[round] ?? Number.NaN)))
}
