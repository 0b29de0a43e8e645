// NFQUEUE: packets for a program that asks for them (xt_NFQUEUE.c). In a scenario nobody does: the packet is lost, or with
// --queue-bypass goes on as if accepted (nf_queue() answers -ESRCH).
import { type Action, actionVerdict, type TargetKind, type TargetSpec } from '../extension.ts'
import { find, flag, read, withValue } from '../match/given.ts'
import { formatPortRange, parseNumber, parseRange } from '../values.ts'

const queuesMax = 0xffff

const nfqueue: TargetKind = {
  name: 'NFQUEUE',
  options: [
    withValue('--queue-num'),
    withValue('--queue-balance'),
    flag('--queue-bypass'),
    flag('--queue-cpu-fanout'),
  ],
  read: (given, scope): TargetSpec | undefined => {
    const balance = find(given, '--queue-balance')
    const number = find(given, '--queue-num')
    const one =
      number === undefined
        ? 0
        : read(number, scope, (text) => parseNumber(text, queuesMax), 'number of a queue')
    const range =
      balance === undefined
        ? undefined
        : read(balance, scope, (text) => parseRange(text, queuesMax), 'range of queues')
    if (one === undefined || (balance !== undefined && range === undefined)) return undefined
    const bypass = find(given, '--queue-bypass') !== undefined
    const words = [range === undefined ? `--queue-num ${one}` : `--queue-balance ${formatPortRange(range)}`]
    if (bypass) words.push('--queue-bypass')
    if (find(given, '--queue-cpu-fanout') !== undefined) words.push('--queue-cpu-fanout')
    const action: Action = () => (bypass ? actionVerdict.accept : actionVerdict.drop)
    return { text: words.join(' '), bind: () => action }
  },
}

/** The target for programs that ask for packets. */
export const queueTargets: readonly TargetKind[] = [nfqueue]
