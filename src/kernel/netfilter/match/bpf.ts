// Programs as matches: xt_bpf.c. Classic bytecode stands in the rule; a pinned program is named by its path and runs on the
// packet from its IP header on. Any return value but 0 matches.

import { parseClassic } from '../../../bpf/cbpf/parse.ts'
import { runClassic } from '../../../bpf/cbpf/run.ts'
import type { Namespace } from '../../namespace.ts'
import type { MatchKind, MatchSpec } from '../extension.ts'
import { find, valueText, withValue } from './given.ts'

/** Runs a pinned program on a packet; set by whoever owns pins. */
export type PinnedRun = (packet: {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}) => number

const pinned = new WeakMap<Namespace, Map<string, PinnedRun>>()

/** Makes a pinned socket filter known to `-m bpf --object-pinned PATH` in a namespace. */
export function pinMatchProgram(ns: Namespace, path: string, run: PinnedRun): void {
  const known = pinned.get(ns) ?? new Map<string, PinnedRun>()
  known.set(path, run)
  pinned.set(ns, known)
}

const bpf: MatchKind = {
  name: 'bpf',
  options: [withValue('--bytecode'), withValue('--object-pinned')],
  read: (given, scope, word): MatchSpec | undefined => {
    const path = find(given, '--object-pinned')
    if (path !== undefined) {
      const name = valueText(path)
      return {
        text: `--object-pinned ${name}`,
        bind: ({ ns }) => {
          return ({ skb, l3 }) => {
            const run = pinned.get(ns)?.get(name)
            return run !== undefined && run({ bytes: skb.bytes, start: l3, end: skb.tail }) !== 0
          }
        },
      }
    }
    const code = find(given, '--bytecode')
    if (code === undefined) return scope.report(word, '`-m bpf` needs `--bytecode` or `--object-pinned`')
    const parsed = parseClassic(valueText(code))
    if (parsed.kind === 'refused')
      return scope.report(code.values[0] ?? code.word, `bytecode: ${parsed.message}`)
    const { instructions } = parsed
    const text = instructions.map(({ code: op, jt, jf, k }) => `${op} ${jt} ${jf} ${k}`).join(',')
    return {
      text: `--bytecode "${instructions.length},${text}"`,
      bind: () => (packet) => {
        const { skb, l3 } = packet
        return (
          runClassic(instructions, { bytes: skb.bytes, start: l3, end: skb.tail, network: l3, skb }) !== 0
        )
      },
    }
  },
}

/** The match that asks a program. */
export const bpfMatches: readonly MatchKind[] = [bpf]
