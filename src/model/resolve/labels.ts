// Names of packets: `p1`, `p[17]`, `f1.syn.retry1`, `p1.icmp`. A label is declared by a step; the words behind it are a
// closed list, because packets are named by their cause.
import { didYouMean } from '../../base/closest.ts'
import type { PacketName, Step, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { Subject } from '../model.ts'
import { isOpen } from '../words/fill.ts'
import { integerOf } from '../words/numbers.ts'
import type { Scope } from './scope.ts'

export interface Label {
  readonly kind: 'packet' | 'flow'
  /** The statement that declares it, as its place among the scenario's items. */
  readonly item: number
  readonly word: Word
  /** The bounds of the repeat that it stands in, or of its own `count`. */
  readonly repeat?: { readonly first: number; readonly last: number }
}

/** The labels that a step declares, those inside a repeat too. */
export function labelsOf(step: Step, item: number): readonly Label[] {
  switch (step.kind) {
    case 'flow':
      return [{ kind: 'flow', item, word: step.label }]
    case 'packet': {
      const options = step.content.kind === 'short' ? step.content.options : []
      const count = integerOf(options.find((option) => option.name === 'count')?.values[0]?.text ?? '')
      const repeat = count === undefined ? {} : { repeat: { first: 1, last: count } }
      return [{ kind: 'packet', item, word: step.label, ...repeat }]
    }
    case 'repeat': {
      const repeat = { first: integerOf(step.first.text) ?? 0, last: integerOf(step.last.text) ?? 0 }
      return step.steps.flatMap((each) => labelsOf(each, item)).map((label) => ({ ...label, repeat }))
    }
    default:
      return []
  }
}

/** What a packet may cause, whoever sent it. */
const consequences = [
  'arp',
  'icmp',
  'rst',
  'synack',
  'nd',
  'reply',
  'echo-reply',
  'garp',
  'redirect',
] as const

/** The packets of a flow. */
const flowParts = [
  'syn',
  'synack',
  'ack',
  'fin',
  'finack',
  'rfin',
  'rack',
  'request',
  'response',
  'data1',
  'rdata1',
  'ping1',
  'pong1',
  'close',
  'upstream',
] as const

const numbered =
  /^(?:retry|data|rdata|ack|rack|dataack|rdataack|fin|rfin|request|response|upstream|ping|pong|echo|reply|frag|copy|icmp|arp|nd|rst|synack)[1-9][0-9]*$/

function isPart(text: string): boolean {
  return (
    (consequences as readonly string[]).includes(text) ||
    (flowParts as readonly string[]).includes(text) ||
    numbered.test(text)
  )
}

/** The subject of an expectation, or undefined after a message. */
export function readSubject(
  subject: PacketName,
  quantity: 'one' | 'all',
  labels: ReadonlyMap<string, Label>,
  scope: Scope,
): Subject | undefined {
  const { label: word, index, rest, span } = subject
  const label = labels.get(word.text)
  // What the timers of a host send is named by the host: the probe of a stale neighbour is `A.arp`.
  const byTimer = label === undefined && rest.length > 0 && scope.entities.hosts.has(word.text)
  if (label === undefined && !byTimer) {
    const hint =
      didYouMean(word.text, labels.keys()) ?? 'declare it with `NAME: packet ...` or `NAME: tcp ...`'
    scope.report(mistakeIn('S119', word, `no packet or flow is called \`${word.text}\``, { hint }))
    return undefined
  }
  for (const part of rest) {
    if (isPart(part.text) || isOpen(part)) continue
    const hint = didYouMean(part.text, [...flowParts, ...consequences, 'retry1'])
    scope.report(mistakeIn('S120', part, `no packet is named \`${part.text}\``, { hint }))
    return undefined
  }
  if (label !== undefined && !indexFits(subject, quantity, label, scope)) return undefined
  const name = [
    index === null ? word.text : `${word.text}[${index.text}]`,
    ...rest.map((part) => part.text),
  ].join('.')
  const flow = label?.kind === 'flow' && rest.length === 0
  return { kind: flow ? 'flow' : 'packet', name, all: quantity === 'all', span }
}

function indexFits(
  { label: word, index, span }: PacketName,
  quantity: 'one' | 'all',
  label: Label,
  scope: Scope,
): boolean {
  const { repeat } = label
  const name = word.text
  if (repeat === undefined) {
    if (index === null) return true
    scope.report(mistakeIn('S138', index, `\`${name}\` is not repeated`, { hint: `write \`${name}\`` }))
    return false
  }
  if (quantity === 'all') return true
  if (index === null) {
    scope.report(
      mistake('S138', span, `\`${name}\` names ${repeat.last - repeat.first + 1} packets`, {
        hint: `write \`expect ${name} all\` or \`${name}[${repeat.first}]\``,
      }),
    )
    return false
  }
  const number = integerOf(index.text)
  if (number !== undefined && number >= repeat.first && number <= repeat.last) return true
  scope.report(
    mistakeIn('S138', index, `there is no \`${name}[${index.text}]\``, {
      hint: `it goes from ${name}[${repeat.first}] to ${name}[${repeat.last}]`,
    }),
  )
  return false
}
