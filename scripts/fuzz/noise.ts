// What both sides may do differently without either being wrong, with the reason. A disagreement is only known noise when
// every one of its differences is.
import type { Difference } from '../../src/oracle/compare.ts'

interface Noise {
  readonly reason: string
  readonly applies: (difference: Difference, text: string) => boolean
}

export const knownNoise: readonly Noise[] = [
  {
    reason: 'proxy ARP answers after a random delay of up to proxy_delay',
    applies: ({ model, kernel }, text) =>
      /proxy/.test(text) &&
      /\barp\b/.test(`${model} ${kernel}`) &&
      (model === 'nothing' || kernel === 'nothing'),
  },
]

/** Why all differences are noise; undefined when one is not. */
export function noiseIn(differences: readonly Difference[], text: string): string | undefined {
  let reason: string | undefined
  for (const difference of differences) {
    const noise = knownNoise.find(({ applies }) => applies(difference, text))
    if (noise === undefined) return undefined
    reason = noise.reason
  }
  return reason
}
