// What both sides may do differently without either being wrong, with the reason. A disagreement is only known noise when
// every one of its differences is.
import type { Difference } from '../../src/oracle/compare.ts'

interface Noise {
  readonly reason: string
  readonly applies: (difference: Difference, text: string, all: readonly Difference[]) => boolean
}

/** The third repetition of a SYN was answered in the model alone, because ARP gave up its next hop just after it. */
function isRacingSyn({ subject, kernel }: Difference): boolean {
  return /\.syn\.retry3\.icmp at /.test(subject) && kernel === 'nothing'
}

/** Rules whose answer hangs on the order of packets. */
const counting = /--mode nth|-m limit|-m hashlimit|--hitcount/

/** What follows when ARP gave up just before: a new question, and one answer less. */
function followsRace({ subject, model, kernel }: Difference): boolean {
  if (model === 'nothing') return kernel.startsWith('arp who-has ')
  if (subject.startsWith('neighbour ')) return model === 'failed' && kernel === 'incomplete'
  return /^counter \S+ (?:IpOutRequests|IcmpOutMsgs|IcmpInMsgs|IcmpInErrors|IpInReceives|IpInDelivers|IpForwDatagrams)$/.test(
    subject,
  )
}

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
      'the third repetition of a SYN and the end of three ARP requests fall into one tick of the timer wheel (3.07 s): which comes first is not said',
    applies: (difference, _text, all) =>
      all.some(isRacingSyn) && (isRacingSyn(difference) || followsRace(difference)),
  },
  {
    reason:
      'a rule counts packets, and both ends of a connection repeat theirs in one tick of the timer wheel: which comes first is not said',
    applies: (_difference, text, all) =>
      counting.test(text) && all.some(({ subject }) => /\.syn\.retry|\.synack\.retry/.test(subject)),
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
