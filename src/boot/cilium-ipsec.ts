// States and policies of the kernel that an agent brings from one key of IPsec to the next while the machine runs. Those of the old
// key stay until its job takes them away, so that packets on their way can still be opened. pkg/datapath/linux/ipsec
// publishPendingSPI(), onTimer()
import { type Nanoseconds, second } from '../kernel/clock.ts'
import type { Namespace } from '../kernel/namespace.ts'
import type { AgentAct } from '../trace/event.ts'
import type { RunningCilium, RunningNode } from './cilium.ts'
import { changeRules } from './rulesets.ts'

const nowhere = { source: { name: '', text: '' }, start: 0, end: 0 } as const

/** stale-key-reclaimer runs each minute. */
const reclaimInterval = 60 * second

/** Lines of a plan that nothing needs any more, and since when. */
interface Stale {
  readonly lines: readonly string[]
  readonly since: Nanoseconds
}

/** `state add src A dst B proto esp spi 4 ...` as a trace says it: ends, number and mark; `policy ...` up to its template. */
function shortened(line: string): string {
  if (line.startsWith('policy')) return line.replace(/ tmpl .*/, '')
  const [head = ''] = line.split(' reqid ')
  const mark = / (mark \S+ mask \S+)/.exec(line)?.[1]
  return `${head.replace(' proto esp', '')}${mark === undefined ? '' : ` ${mark}`}`
}

function carryOut(ns: Namespace, lines: readonly string[]): readonly AgentAct[] {
  for (const text of lines)
    changeRules(ns, { verb: 'add', ruleset: { tool: 'xfrm', text: `${text}\n`, span: nowhere } })
  return lines.map((line) => ({ kind: 'xfrm', text: shortened(line) }))
}

/** The states and policies that a plan has now and had not before; those that it has no longer stay for a while. */
export function takeXfrm(
  running: RunningCilium,
  node: RunningNode,
  plans: { readonly before: readonly string[]; readonly after: readonly string[] },
): readonly AgentAct[] {
  const [before, after] = [new Set(plans.before), new Set(plans.after)]
  const gone = plans.before.filter((line) => !after.has(line))
  const { clock } = node.ns.machine
  if (gone.length > 0) reclaimLater(running, node, { lines: gone, since: clock.now })
  return carryOut(
    node.ns,
    plans.after.filter((line) => !before.has(line)),
  )
}

/** deleteStaleXfrmStates(), deleteStaleXfrmPolicies(): at the first full minute at which the time of the key is over. */
function reclaimLater(running: RunningCilium, node: RunningNode, { lines, since }: Stale): void {
  const { clock } = node.ns.machine
  const over = since + node.agent.node.config.keyRotationDuration
  const round = Math.max(Math.ceil(over / reclaimInterval), Math.floor(clock.now / reclaimInterval) + 1)
  clock.after(round * reclaimInterval - clock.now, () => {
    const ordered = [...lines].sort((left, right) => Number(isPolicy(left)) - Number(isPolicy(right)))
    const acts = carryOut(
      node.ns,
      ordered.map((line) => line.replace(/^(state|policy) \S+/, '$1 delete')),
    )
    const { name } = node.agent.node
    running.onJob?.(`stale-key-reclaimer on ${name} at ${clock.now / second}s`, [{ node: name, acts }])
  })
}

function isPolicy(line: string): boolean {
  return line.startsWith('policy')
}
