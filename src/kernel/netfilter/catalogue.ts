// Every match and target that is modelled, by name: what the parser looks words up in.
import type { MatchKind, TargetKind } from './extension.ts'
import { addressTypeMatches } from './match/addrtype.ts'
import { bpfMatches } from './match/bpf.ts'
import { chanceMatches } from './match/chance.ts'
import { flowMatches } from './match/connbytes.ts'
import { connlimitMatches } from './match/connlimit.ts'
import { conntrackMatches } from './match/conntrack.ts'
import { ecnMatches } from './match/ecn.ts'
import { hashlimitMatches } from './match/hashlimit.ts'
import { fieldMatches } from './match/header-fields.ts'
import { icmpMatches } from './match/icmp.ts'
import { markMatches } from './match/mark.ts'
import { placeMatches } from './match/place.ts'
import { policyMatches } from './match/policy.ts'
import { portMatches } from './match/ports.ts'
import { recentMatches } from './match/recent.ts'
import { reversePathMatches } from './match/rpfilter.ts'
import { setMatches } from './match/set.ts'
import { socketMatches } from './match/socket.ts'
import { stringMatches } from './match/string.ts'
import { u32Matches } from './match/u32.ts'
import { fieldTargets } from './target/fields.ts'
import { markTargets } from './target/mark.ts'
import { natTargets } from './target/nat.ts'
import { netmapTargets } from './target/netmap.ts'
import { queueTargets } from './target/queue.ts'
import { rawTargets } from './target/raw.ts'
import { rejectTargets } from './target/reject.ts'
import { reportTargets } from './target/report.ts'
import { tcpTargets } from './target/tcp.ts'
import { teeTargets } from './target/tee.ts'

const matches: readonly MatchKind[] = [
  ...portMatches,
  ...icmpMatches,
  ...conntrackMatches,
  ...markMatches,
  ...fieldMatches,
  ...chanceMatches,
  ...hashlimitMatches,
  ...recentMatches,
  ...placeMatches,
  ...reversePathMatches,
  ...addressTypeMatches,
  ...setMatches,
  ...socketMatches,
  ...bpfMatches,
  ...connlimitMatches,
  ...policyMatches,
  ...u32Matches,
  ...flowMatches,
  ...ecnMatches,
  ...stringMatches,
]

const targets: readonly TargetKind[] = [
  ...markTargets,
  ...natTargets,
  ...netmapTargets,
  ...queueTargets,
  ...rejectTargets,
  ...rawTargets,
  ...fieldTargets,
  ...reportTargets,
  ...tcpTargets,
  ...teeTargets,
]

/** Matches by the name behind `-m`. */
export const matchKinds: ReadonlyMap<string, MatchKind> = new Map(matches.map((kind) => [kind.name, kind]))

/** Targets by the name behind `-j`. */
export const targetKinds: ReadonlyMap<string, TargetKind> = new Map(targets.map((kind) => [kind.name, kind]))

/** Matches of Linux that are not modelled. */
export const otherMatches: ReadonlySet<string> = new Set(
  `ah cgroup cluster connlabel devgroup dst esp eui64 frag hbh ipcomp ipv6header ipvs l2tp mh osf rateest rt srh
   time`.split(/\s+/),
)

/** Targets of Linux that are not modelled. */
export const otherTargets: ReadonlySet<string> = new Set(
  'CLUSTERIP CONNSECMARK DNPT HMARK IDLETIMER LED RATEEST SECMARK SNPT SYNPROXY'.split(' '),
)
