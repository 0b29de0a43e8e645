// Chance as the generators use it: a fast-check generator in, choices out. Everything follows from the seed of the run.
import fc from 'fast-check'

/** The source of all choices of one draft. */
export interface Dice {
  /** A whole number from `low` to `high`, both possible. */
  readonly number: (low: number, high: number) => number
  /** One of a list. */
  readonly pick: <T>(list: readonly T[]) => T
  /** True once in so many times. */
  readonly once: (inTimes: number) => boolean
  /** So many different elements of a list, in their order. */
  readonly some: <T>(list: readonly T[], most: number) => T[]
}

/** Makes a value from chance; equal seeds make equal values. */
export function drafted<T>(seed: number, make: (dice: Dice) => T): T {
  const arbitrary = fc.gen().map((g) => {
    const number = (low: number, high: number): number => g(fc.nat, high - low) + low
    const pick = <T>(list: readonly T[]): T => list[number(0, list.length - 1)] as T
    const once = (inTimes: number): boolean => number(1, inTimes) === inTimes
    const some = <T>(list: readonly T[], most: number): T[] => {
      const wanted = number(0, Math.min(most, list.length))
      const chosen = new Set<number>()
      while (chosen.size < wanted) chosen.add(number(0, list.length - 1))
      return [...chosen].sort((a, b) => a - b).map((index) => list[index] as T)
    }
    return make({ number, pick, once, some })
  })
  const [value] = fc.sample(arbitrary, { seed, numRuns: 1 })
  return value as T
}
