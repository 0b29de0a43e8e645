// `run HOST ...`: a job of the agent on a node, or a command of its tool that changes something.
import { didYouMean } from '../../base/closest.ts'
import type { RunJob } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { AgentJob } from '../step.ts'
import { podConnection } from '../world/cluster-devices.ts'
import { uniqueTitle } from './cluster-step.ts'
import { hostNamed, type Scope } from './scope.ts'
import type { StepsDraft } from './step.ts'

/** What may stand there, for people. */
const known: Readonly<Record<AgentJob, string>> = {
  'ct-nat-map-gc': 'ct-nat-map-gc',
  'ct flush': '"cilium bpf ct flush global"',
  'nat flush': '"cilium bpf nat flush"',
}

const flushes = /^(?:cilium|cilium-dbg) bpf (?:(ct) flush(?: global)?|(nat) flush)$/

function jobOf({ text, form }: RunJob['job'], words: string): AgentJob | undefined {
  if (form === 'bare') return text === 'ct-nat-map-gc' ? text : undefined
  const [, conntrack, translations] = flushes.exec(words) ?? []
  if (conntrack !== undefined) return 'ct flush'
  return translations === undefined ? undefined : 'nat flush'
}

export function readRun({ host: place, job, span }: RunJob, draft: StepsDraft, scope: Scope): void {
  const [first, ...rest] = place.segments
  const host = first && hostNamed(first, scope)
  if (host === undefined) return
  const words = job.text.trim().replace(/\s+/g, ' ')
  const what = jobOf(job, words)
  if (what === undefined) {
    const near = job.form === 'bare' ? didYouMean(words, ['ct-nat-map-gc']) : undefined
    const hint = near ?? `one of ${Object.values(known).join(', ')}`
    scope.report(mistakeIn('S103', job, `there is no job \`${words}\` to run`, { hint }))
    return
  }
  const hasAgent = host.kind === 'node' && podConnection(scope.entities.clusters) === 'cilium'
  if (!hasAgent || rest.length > 0) {
    const hint = 'the name of a node of `cluster cilium` stands here'
    const name = place.segments.map(({ text }) => text).join('/')
    scope.report(mistake('S118', place.span, `no agent of Cilium runs on \`${name}\``, { hint }))
    return
  }
  const title = uniqueTitle(draft, `run ${host.name} ${words}`)
  draft.steps.push({ kind: 'run', node: host.name, job: what, title, span })
}
