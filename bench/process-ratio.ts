// Commands measured as processes. Machines are shared and their speed changes from one minute to the next, so two runs
// are never compared: every round runs every command in a shuffled order, and a command is divided by the reference of
// its own round. What is measured is user and system CPU time; a command that ends with another exit code than expected
// stops the benchmark, because one that crashed looks fast.
import { spawnSync } from 'node:child_process'
import { randomFrom, shuffled } from './statistics.ts'

/** A command line to measure. */
export interface Command {
  readonly name: string
  readonly argv: readonly string[]
  /** The exit code of a run that did what it should. */
  readonly exit: number
  readonly cwd: string
  /** How often it runs in one round: bash counts milliseconds, so short commands run several times. */
  readonly times: number
}

// bash adds up what its children used (getrusage RUSAGE_CHILDREN); the second line of `times` are the children alone.
const script = 'n=$1; shift; for ((i = 0; i < n; i++)); do "$@" >/dev/null 2>&1; echo $?; done; times'

/** The environment without what would change how the command behaves. */
function environment(): NodeJS.ProcessEnv {
  const { CI: _ci, NODE_OPTIONS: _options, ...rest } = process.env
  return { ...rest, LC_ALL: 'C' }
}

function seconds(text: string): number {
  const [, minutes = 'NaN', rest = 'NaN'] = /^(\d+)m([\d.]+)s$/.exec(text) ?? []
  return Number(minutes) * 60 + Number(rest)
}

/** User and system CPU time of one run of the command, in seconds. */
export function cpuTime({ name, argv, exit, cwd, times }: Command): number {
  const child = spawnSync('bash', ['-c', script, 'bench', String(times), ...argv], {
    cwd,
    env: environment(),
    encoding: 'utf8',
  })
  if (child.error !== undefined)
    throw new Error(`bash is needed to measure processes: ${child.error.message}`)
  const lines = child.stdout.trim().split('\n')
  const codes = new Set(lines.slice(0, times))
  if (codes.size !== 1 || !codes.has(String(exit)))
    throw new Error(`${name} ended with ${[...codes].join(', ')} where ${exit} was expected`)
  const [user = '', system = ''] = (lines.at(-1) ?? '').split(' ')
  return (seconds(user) + seconds(system)) / times
}

/** The CPU times of every command, round by round, by name. The first round warms the disk and is not counted. */
export function measureProcesses(
  commands: readonly Command[],
  rounds: number,
): ReadonlyMap<string, number[]> {
  const random = randomFrom(rounds)
  const results = new Map(commands.map(({ name }) => [name, [] as number[]]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const command of shuffled(commands, random)) {
      const time = cpuTime(command)
      if (round > 0) results.get(command.name)!.push(time)
    }
  }
  return results
}
