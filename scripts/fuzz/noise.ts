// What both sides may do differently without either being wrong, with the reason. A disagreement is only known noise when
// every one of its differences is.
import type { Difference } from '../../src/oracle/compare.ts'

interface Noise {
  readonly reason: string
  readonly applies: (difference: Difference, text: string, all: readonly Difference[]) => boolean
}

/** Rules whose answer hangs on the order of packets. */
const counting = /--mode nth|-m limit|-m hashlimit|--hitcount/

export const knownNoise: readonly Noise[] = [
  {
    reason: 'proxy ARP answers after a random delay of up to proxy_delay',
    applies: ({ model, kernel }, text) =>
      /proxy/.test(text) &&
      /\barp\b/.test(`${model} ${kernel}`) &&
      (model === 'nothing' || kernel === 'nothing'),
  },
  {
    reason:
      'a rule counts packets, and both ends of a connection repeat theirs in one tick of the timer wheel: which comes first is not said',
    applies: (_difference, text, all) =>
      counting.test(text) && all.some(({ subject }) => /\.syn\.retry|\.synack\.retry/.test(subject)),
  },
  {
    reason:
      'an echo service whose answers NAT leads back to itself goes on until none of the ports that NAT tries is free: chance decides when',
    applies: (_difference, text, all) =>
      /-j (?:REDIRECT|DNAT)/.test(text) && all.some(({ subject }) => /\.rdata\d{3,} at /.test(subject)),
  },
]

/** Why all differences are noise; undefined when one is not. */
export function noiseIn(differences: readonly Difference[], text: string): string | undefined {
  let reason: string | undefined
  for (const difference of differences) {
    const noise = knownNoise.find(({ applies }) => applies(difference, text, differences))
    if (noise === undefined) return undefined
    reason = noise.reason
  }
  return reason
}
