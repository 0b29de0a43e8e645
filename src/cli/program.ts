// The command line: which words mean which command, and what becomes of mistakes in them. Commands are loaded when
// they are used.
import { cac } from 'cac'
import { closest } from '../base/closest.ts'
import { oneOf, text, texts, whole } from './arguments.ts'
import { type Console, inCi, processConsole } from './console.ts'
import { exitCode } from './exit-code.ts'
import { UsageError } from './usage.ts'

type Options = Readonly<Record<string, unknown>>

/** Milliseconds, of a clock that needs no module (`performance` loads a dozen of them). */
function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function run(paths: readonly string[], options: Options, console: Console): Promise<number> {
  const { runCommand } = await import('./commands/run.ts')
  const { parseReporter } = await import('./reporters.ts')
  const { parseShard } = await import('./selection.ts')
  const shard = text(options['shard'])
  const reporters = texts(options['reporter'])
  const results = console.env['SCN_RESULTS']
  const extra = results === undefined ? [] : [parseReporter(`json=${results}/examples.json`)]
  return runCommand(
    {
      paths,
      selection: {
        keyword: text(options['k']),
        tags: text(options['t']),
        shard: shard === undefined ? undefined : parseShard(shard),
      },
      golden:
        options['u'] === true
          ? 'all'
          : oneOf(options['golden'] ?? 'check', 'golden', ['check', 'new', 'pending', 'all']),
      jobs: whole(options['j'] ?? 1, 'j', 1),
      seed: whole(options['seed'] ?? 0, 'seed', 0),
      shuffle: options['shuffle'] === true,
      bail: options['bail'] === true ? 1 : whole(options['bail'] ?? 0, 'bail', 0),
      repeat: whole(options['repeat'] ?? 1, 'repeat', 1),
      reporters: [...(reporters.length === 0 ? ['text'] : reporters).map(parseReporter), ...extra],
      color: oneOf(options['color'] ?? 'auto', 'color', ['auto', 'always', 'never']),
      verbose: options['v'] === true || Array.isArray(options['v']),
      quiet: options['q'] === true,
      clock,
    },
    console,
  )
}

/** Every command with its options; the action answers the exit code. */
function commands(console: Console): ReturnType<typeof cac> {
  const cli = cac('scn')
  const runOptions = (command: ReturnType<typeof cli.command>): ReturnType<typeof cli.command> =>
    command
      .option('-k <text>', 'Only cases whose path, name or title holds these words')
      .option('-t <tags>', "Only cases with these tags: 'nodeport and not slow'")
      .option('--golden <mode>', 'check, new, pending or all')
      .option('-u', 'Accept every trace whose expectations hold (--golden=all); refused where CI is set')
      .option('-j <n>', 'Threads')
      .option('--shard <i/n>', 'Every n-th file, from the i-th')
      .option('--bail [n]', 'Stop after n failures')
      .option('--reporter <name>', 'text, json, junit, github or quiet, with =FILE; repeatable')
      .option('--seed <n>', 'Seed of every choice and of --shuffle')
      .option('--shuffle', 'Run files in another order')
      .option('--repeat <n>', 'Run everything n times')
      .option('--color <when>', 'auto, always or never')
      .option('-v', 'Show every difference')
      .option('-q', 'Show failures only')
  runOptions(
    cli.command('run [...paths]', 'Run scenarios and compare their traces with the goldens (the default)'),
  ).action((paths: string[], options: Options) => run(paths, options, console))
  verifyCommands(cli, console)
  checkCommands(cli, console)
  viewCommands(cli, console)
  reviewCommands(cli, console)
  cli
    .command('explain <word>', 'A diagnostic, a drop reason, a hook, a trace word: what, why, where from')
    .action(async (word: string) => {
      const { explainCommand } = await import('./commands/explain.ts')
      return explainCommand(String(word), console)
    })
  cli.help()
  return cli
}

function verifyCommands(cli: ReturnType<typeof cac>, console: Console): void {
  cli
    .command('verify [...paths]', 'Run the same cases on the real Linux kernel and compare; writes nothing')
    .option('-k <text>', 'Only cases whose path, name or title holds these words')
    .option('-t <tags>', 'Only cases with these tags')
    .option('--slow', 'Also cases that take more than 5 s of real time')
    .option('-j <n>', 'Processes')
    .option('--seed <n>', 'Seed of every choice')
    .option('--json', 'As JSON')
    .option('-v', 'Name every case')
    .action(async (paths: string[], options: Options) => {
      const { verifyCommand } = await import('./commands/verify.ts')
      return verifyCommand(
        {
          selection: { paths, keyword: text(options['k']), tags: text(options['t']), shard: undefined },
          slow: options['slow'] === true,
          json: options['json'] === true,
          verbose: options['v'] === true,
          seed: whole(options['seed'] ?? 0, 'seed', 0),
          jobs: whole(options['j'] ?? 1, 'j', 1),
        },
        console,
      )
    })
}

function checkCommands(cli: ReturnType<typeof cac>, console: Console): void {
  cli
    .command('check [...paths]', 'Parse and check, run nothing')
    .option('--json', 'Diagnostics as JSON')
    .action(async (paths: string[], options: Options) => {
      const { checkCommand } = await import('./commands/check.ts')
      return checkCommand({ paths, json: options['json'] === true }, console)
    })
  cli
    .command('fmt [...paths]', 'Write specs in the canonical form')
    .option('--check', 'Only say what would change')
    .action(async (paths: string[], options: Options) => {
      const { fmtCommand } = await import('./commands/fmt.ts')
      return fmtCommand({ paths, check: options['check'] === true }, console)
    })
  cli
    .command('list [...paths]', 'Name every case')
    .option('--json', 'As JSON')
    .option('-k <text>', 'Filter by words')
    .option('-t <tags>', 'Filter by tags')
    .action(async (paths: string[], options: Options) => {
      const { listCommand } = await import('./commands/list.ts')
      return listCommand(
        { paths, json: options['json'] === true, keyword: text(options['k']), tags: text(options['t']) },
        console,
      )
    })
}

function viewCommands(cli: ReturnType<typeof cac>, console: Console): void {
  cli.command('expand <selector>', 'Print everything that was derived').action(async (selector: string) => {
    const { expandCommand } = await import('./commands/expand.ts')
    return expandCommand(selector, console)
  })
  cli
    .command(
      'show <selector> [...command]',
      "What a tool would print in a node: 'ip route', 'bridge fdb', 'ss -tan'",
    )
    .option('--node <name>', 'Only this node, netns or pod')
    .option('--after <step>', 'After this step (a number) or packet; after all steps without it')
    .option('--before', 'Before the first step')
    .option('--seed <n>', 'Seed of every choice')
    .action(async (selector: string, words: string[], options: Options) => {
      const { showCommand } = await import('./commands/show.ts')
      if (words.join('').trim() === '')
        throw new UsageError("`scn show` needs a command: scn show SPEC 'ip route'")
      return showCommand(
        {
          selector,
          command: words.join(' '),
          node: text(options['node']),
          after: text(options['after']),
          before: options['before'] === true,
          seed: whole(options['seed'] ?? 0, 'seed', 0),
        },
        console,
      )
    })
  cli
    .command('trace <selector>', 'Run and show, compare nothing')
    .option('--level <level>', 'minimal, hops or full')
    .option('--as <form>', 'text, json, mermaid, pcapng, tcpdump, monitor or hubble')
    .option('--seed <n>', 'Seed of every choice')
    .option('-o <file>', 'Write to a file')
    .example('scn trace SPEC --as hubble -- --verdict DROPPED --to-pod default/web')
    .action(async (selector: string, options: Options) => {
      const { traceCommand, traceForms } = await import('./commands/trace.ts')
      const level =
        options['level'] === undefined
          ? undefined
          : oneOf(options['level'], 'level', ['minimal', 'hops', 'full'])
      return traceCommand(
        {
          selector,
          level,
          form: oneOf(options['as'] ?? 'text', 'as', traceForms),
          seed: whole(options['seed'] ?? 0, 'seed', 0),
          file: text(options['o']),
          filters: (options['--'] ?? []) as readonly string[],
        },
        console,
      )
    })
}

function reviewCommands(cli: ReturnType<typeof cac>, console: Console): void {
  cli
    .command('pending [...paths]', 'What a run left to review, by cause')
    .option('--json', 'As JSON')
    .action(async (paths: string[], options: Options) => {
      const { pendingCommand } = await import('./commands/pending.ts')
      return pendingCommand({ paths, json: options['json'] === true }, console)
    })
  for (const verb of ['accept', 'reject'] as const) {
    const about = verb === 'accept' ? 'Make pending traces golden' : 'Throw pending traces away'
    cli
      .command(`${verb} [...selectors]`, about)
      .option('--group <n>', 'Everything with this cause')
      .option('--all', 'Everything pending')
      .action(async (selectors: string[], options: Options) => {
        const { acceptCommand, rejectCommand } = await import('./commands/pending.ts')
        const group = options['group'] === undefined ? undefined : whole(options['group'], 'group', 1)
        const choice = { selectors, group, all: options['all'] === true }
        return verb === 'accept' ? acceptCommand(choice, console) : rejectCommand(choice, console)
      })
  }
  cli
    .command('review [...paths]', 'Review pending traces one cause after the other')
    .option('--group <n>', 'Only this cause')
    .action(async (paths: string[], options: Options) => {
      const { lineKeys, reviewCommand } = await import('./commands/review.ts')
      if (inCi(console)) throw new UsageError('there is nobody to review where CI is set')
      const keys = lineKeys()
      const group = options['group'] === undefined ? undefined : whole(options['group'], 'group', 1)
      try {
        return await reviewCommand({ paths, group }, console, keys.ask)
      } finally {
        keys.close()
      }
    })
}

const known = [
  'run',
  'verify',
  'check',
  'fmt',
  'list',
  'expand',
  'trace',
  'show',
  'pending',
  'accept',
  'reject',
  'review',
  'explain',
]

/** Without a command word the arguments are those of `run`; `scn` alone runs everything below the folder. */
function withDefault(argv: readonly string[]): string[] {
  const [node = '', script = '', first, ...rest] = argv
  if (first === '--help' || first === '-h' || (first !== undefined && known.includes(first))) return [...argv]
  const near =
    first === undefined || first.startsWith('-') || /[./:]/.test(first) ? undefined : closest(first, known)
  if (near !== undefined) throw new UsageError(`there is no command \`${first}\`; did you mean \`${near}\`?`)
  return first === undefined ? [node, script, 'run'] : [node, script, 'run', first, ...rest]
}

/** What is wrong with a command line, with the nearest option for one that there is not. */
function usageText(problem: Error, cli: ReturnType<typeof commands>): string {
  const option = /^Unknown option `(-+)(.*)`$/.exec(problem.message)
  if (option === null) return problem.message
  const [, dashes = '', name = ''] = option
  const own = cli.matchedCommand?.options.flatMap(({ names }) => names) ?? []
  const near = name.length === 1 ? undefined : closest(name, own)
  const hint = near === undefined ? '' : `; did you mean \`${near.length === 1 ? '-' : '--'}${near}\`?`
  return `there is no option \`${dashes}${name}\`${hint}`
}

/** Runs a command line; answers its exit code. Never throws for what a person did wrong. */
export async function runCommandLine(argv: readonly string[], console: Console): Promise<number> {
  const cli = commands(console)
  try {
    cli.parse(withDefault(argv), { run: false })
    if (cli.options['help'] === true) return exitCode.passed
    const answer: unknown = await cli.runMatchedCommand()
    return typeof answer === 'number' ? answer : exitCode.passed
  } catch (problem) {
    if (problem instanceof UsageError || (problem instanceof Error && problem.name === 'CACError')) {
      console.err(`scn: ${usageText(problem, cli)}\n`)
      return exitCode.usage
    }
    console.err(
      `scn: engine error: ${problem instanceof Error ? (problem.stack ?? problem.message) : String(problem)}\n`,
    )
    return exitCode.engine
  }
}

/** The whole process. */
export async function main(argv: readonly string[]): Promise<void> {
  process.on('SIGINT', () => process.exit(exitCode.interrupted))
  // Whoever reads may have seen enough (`scn trace ... | head`).
  process.stdout.on('error', () => process.exit())
  process.exitCode = await runCommandLine(argv, processConsole())
}
