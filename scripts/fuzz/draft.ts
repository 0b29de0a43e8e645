// A scenario from a seed, as text.
import { cgroups } from './cgroups.ts'
import { type Dice, drafted } from './dice.ts'
import { textOfDraft } from './host.ts'
import { nftables } from './nft.ts'
import { programs } from './programs.ts'
import { routing } from './routes.ts'
import { rulesets } from './rulesets.ts'
import { counterClaims, traffic } from './traffic.ts'
import { plainWorld, settings } from './worlds.ts'

/** What `--only` may name. Without it every draft has some of everything. */
export const areas = [
  'route',
  'sysctl',
  'netfilter',
  'xdp',
  'tc',
  'bridge',
  'tunnel',
  'chain',
  'ip6',
  'change',
  'nft',
  'cgroup',
] as const

/** Makes the text of the scenario of a seed. */
export function draftText(seed: number, only: ReadonlySet<string>): string {
  return drafted(seed, (dice) => textOf(dice, only, `Found by seed ${seed}.`))
}

function textOf(dice: Dice, only: ReadonlySet<string>, title: string): string {
  const draft = plainWorld(dice, only)
  const wants = (area: string, inTimes: number): boolean =>
    only.size === 0 ? dice.once(inTimes) : only.has(area)
  if (wants('sysctl', 2)) settings(dice, draft)
  if (wants('route', 2)) routing(dice, draft)
  if (wants('netfilter', 3)) rulesets(dice, draft)
  if (only.size === 0 ? dice.once(3) : only.has('xdp') || only.has('tc')) programs(dice, draft, only)
  if (only.has('nft')) nftables(dice, draft)
  if (only.has('cgroup')) cgroups(dice, draft)
  traffic(dice, draft, only)
  counterClaims(draft)
  return textOfDraft(draft, title)
}
