// `qdisc fq ...` of a device: the words of tc(8) with its units.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Qdisc, QdiscOptionName, Word } from '../../syntax/ast.ts'
import type { DeviceModel, QdiscModel } from '../device-model.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { defined } from '../words/defined.ts'
import { durationIn, numberIn, type Range, rateIn } from '../words/numbers.ts'
import { optionOf, optionValue } from '../words/options.ts'
import { notYet } from './unavailable.ts'

/** Disciplines that Linux has and this kernel has not. */
const later: readonly string[] = [
  'bfifo cake cbs choke codel drr dualpi2 etf ets fq_codel fq_pie hfsc hhf htb mq mqprio multiq netem noqueue pfifo pfifo_fast pie',
  'prio qfq red sfb sfq skbprio taprio tbf',
].flatMap((line) => line.split(' '))

const packets: Range = { what: 'a number of packets', min: 1, max: 0xffff_ffff }
const bytes: Range = { what: 'a number of bytes', min: 1, max: 1 << 20 }
const initialBytes: Range = { what: 'a number of bytes', min: 0, max: 0x7fff_ffff }

/** The discipline of a device; nothing where none is said, or one that there is not (yet). */
export function qdiscOf(all: readonly Qdisc[], report: Report): Pick<DeviceModel, 'qdisc'> {
  const [first, second] = all
  if (first === undefined) return {}
  if (second !== undefined) {
    report(
      mistake('S125', second.span, 'the device has a root qdisc already', {
        notes: [{ message: 'the first one is here', span: first.span }],
      }),
    )
  }
  const { text, span } = first.discipline
  if (text === 'fq') return { qdisc: fqOf(first, report) }
  if (later.includes(text)) notYet(span, `the qdisc ${text}`, report)
  else {
    const hint = didYouMean(text, ['fq', ...later]) ?? 'there is `fq`'
    report(mistakeIn('S125', first.discipline, `no qdisc is called \`${text}\``, { hint }))
  }
  return {}
}

function fqOf({ options }: Qdisc, report: Report): QdiscModel {
  const read = <Value>(name: QdiscOptionName, how: (word: Word) => Value): Value | undefined => {
    const word = optionValue(options, name)
    return word === undefined ? undefined : how(word)
  }
  for (const [one, other] of [
    ['horizon_drop', 'horizon_cap'],
    ['pacing', 'nopacing'],
  ] as const) {
    const [first, second] = options.filter(({ name }) => name === one || name === other)
    if (first === undefined || second === undefined || first.name === second.name) continue
    const hint = `one of \`${one}\` and \`${other}\``
    report(mistake('S125', second.span, `\`${second.name}\` contradicts \`${first.name}\``, { hint }))
  }
  const either = (yes: QdiscOptionName, no: QdiscOptionName): boolean | undefined =>
    optionOf(options, no) !== undefined ? false : optionOf(options, yes) !== undefined || undefined
  return defined({
    kind: 'fq' as const,
    limit: read('limit', (word) => numberIn(word, packets, report)),
    flowLimit: read('flow_limit', (word) => numberIn(word, packets, report)),
    quantum: read('quantum', (word) => numberIn(word, bytes, report)),
    initialQuantum: read('initial_quantum', (word) => numberIn(word, initialBytes, report)),
    maxRate: read('maxrate', (word) => rateIn(word, report)),
    horizon: read('horizon', (word) => durationIn(word, report)),
    horizonDrop: either('horizon_drop', 'horizon_cap'),
    pacing: either('pacing', 'nopacing'),
  })
}
