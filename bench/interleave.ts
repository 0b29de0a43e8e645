// Pieces of work measured inside this process, in turns: every round runs every piece in a shuffled order, so that what
// slows the machine slows all of them. Enters: functions; leaves: their times round by round.
import { randomFrom, shuffled } from './statistics.ts'

/** A piece of work. `prepare` is not measured. */
export interface Work {
  readonly name: string
  readonly prepare?: () => void
  readonly run: () => void
}

/** CPU microseconds of this thread's process; `process.cpuUsage` counts the collector's threads too. */
function cpuNow(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Microseconds of CPU time of each piece, by name. `warm` rounds at the start are not counted. */
export function measureWork(
  pieces: readonly Work[],
  { rounds, warm }: { readonly rounds: number; readonly warm: number },
): ReadonlyMap<string, number[]> {
  const random = randomFrom(rounds)
  const results = new Map(pieces.map(({ name }) => [name, [] as number[]]))
  for (let round = 0; round < warm + rounds; round += 1) {
    for (const { name, prepare, run } of shuffled(pieces, random)) {
      prepare?.()
      const before = cpuNow()
      run()
      const time = cpuNow() - before
      if (round >= warm) results.get(name)!.push(time)
    }
  }
  return results
}
