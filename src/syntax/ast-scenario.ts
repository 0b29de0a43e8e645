// What happens, as written: cases and steps.
import type { ClaimLine, Expect } from './ast-expect.ts'
import type { HostItem } from './ast-host.ts'
import type { Statement } from './ast-state.ts'
import type { TopologyItem } from './ast-topology.ts'
import type { Flow, Operation, Packet } from './ast-traffic.ts'
import type { Option, Place, Span, Word } from './ast-words.ts'

/** `scenario NAME "title" { ... }`. */
export interface Scenario {
  readonly kind: 'scenario'
  readonly span: Span
  readonly name: Word
  readonly title: Word | null
  readonly items: readonly ScenarioItem[]
}

/** What a guard `[id]` may stand before. */
export type GuardableItem = Tags | Golden | Let | Step | Expect | Invariant | Statement

export type ScenarioItem = GuardableItem | Cases | Guarded

/** `tags overlay smoke`. */
export interface Tags {
  readonly kind: 'tags'
  readonly span: Span
  readonly tags: readonly Word[]
}

/** `golden minimal`. */
export interface Golden {
  readonly kind: 'golden'
  readonly span: Span
  readonly level: 'minimal' | 'hops' | 'full' | 'off'
}

/** `let $port = 8080`; holds for the whole scenario. */
export interface Let {
  readonly kind: 'let'
  readonly span: Span
  /** Without the sign. */
  readonly name: Word
  readonly value: Word
}

/** The case table. The first column must be `id`; every row should have as many cells as `columns` (a check says so). */
export interface Cases {
  readonly kind: 'cases'
  readonly span: Span
  readonly columns: readonly Word[]
  readonly rows: readonly Row[]
}

/** A cell is one word; an empty cell is a word with empty text, `-` asserts "nothing, not reached". */
export interface Row {
  readonly kind: 'row'
  readonly span: Span
  readonly cells: readonly Word[]
}

/** `[id, id2] STATEMENT`: only in these cases. */
export interface Guarded {
  readonly kind: 'guarded'
  readonly span: Span
  readonly cases: readonly Word[]
  readonly item: GuardableItem
}

/** `never drop`: must not be true of any packet of the scenario, at any place. The line's claims are the forbidden ones. */
export interface Invariant {
  readonly kind: 'invariant'
  readonly span: Span
  readonly line: ClaimLine
}

export type Step =
  | Flow
  | Packet
  | Continue
  | Repeat
  | Choose
  | Wait
  | Link
  | Delete
  | Add
  | SetStep
  | Scale
  | Restart
  | OnHost
  | Show
  | RunJob
  | Reach
  | RotateKey

/** `f1 { send 100 }`: more operations of a flow. */
export interface Continue {
  readonly kind: 'continue'
  readonly span: Span
  readonly label: Word
  readonly operations: readonly Operation[]
}

/** `repeat $i in 1..100 { ... }`: both ends belong to the range. */
export interface Repeat {
  readonly kind: 'repeat'
  readonly span: Span
  readonly variable: Word
  readonly first: Word
  readonly last: Word
  readonly steps: readonly Step[]
}

/** `choose svc/web = web-1`: the next random selection. */
export interface Choose {
  readonly kind: 'choose'
  readonly span: Span
  readonly subject: Place
  readonly value: Word
}

/** `wait 30s`. */
export interface Wait {
  readonly kind: 'wait'
  readonly span: Span
  readonly duration: Word
}

/** `link n1/eth0 down`. */
export interface Link {
  readonly kind: 'link'
  readonly span: Span
  readonly device: Place
  readonly state: 'up' | 'down'
}

/** `delete pod web-1`, `delete service web`, `delete n1/eth0`. */
export interface Delete {
  readonly kind: 'delete'
  readonly span: Span
  /** pod, service, node, policy, netns, dev, or null for a place alone. */
  readonly what: 'pod' | 'service' | 'node' | 'policy' | 'netns' | 'dev' | null
  readonly target: Place
}

/** `add pod web-3 on n2 10.0.2.23 labels app=web`: any statement of a topology. */
export interface Add {
  readonly kind: 'add'
  readonly span: Span
  readonly item: TopologyItem
}

/** `set n1/eth0 mtu 1400`, `set n1 sysctl net.ipv4.ip_forward = 0`, `set cluster lb-mode dsr`, `set pod web labels app=x`. */
export interface SetStep {
  readonly kind: 'set'
  readonly span: Span
  readonly target: Place
  readonly option: Option
}

/** `scale web 3`. */
export interface Scale {
  readonly kind: 'scale'
  readonly span: Span
  readonly target: Place
  readonly replicas: Word
}

/** `restart agent n1`, `restart kube-proxy n1`, `restart node n1`, `restart pod web`; `add pod web` of one that was deleted. */
export interface Restart {
  readonly kind: 'restart'
  readonly span: Span
  readonly what: 'agent' | 'kube-proxy' | 'node' | 'pod' | 'back'
  readonly target: Word
}

/** `show n1 "cilium bpf ct list global"`: the golden says what the tool prints on that host now. */
export interface Show {
  readonly kind: 'show'
  readonly span: Span
  readonly host: Place
  readonly command: Word
}

/** `rotate ipsec key`: the secret that all agents read gets its next key. */
export interface RotateKey {
  readonly kind: 'rotate-key'
  readonly span: Span
}

/** `run n1 ct-nat-map-gc`, `run n1 "cilium bpf ct flush global"`: a job of the agent there, or a command that changes something. */
export interface RunJob {
  readonly kind: 'run'
  readonly span: Span
  readonly host: Place
  readonly job: Word
}

/** `reach tcp 80 443, icmp from pods to all { client > web: connected }`: every pair is tried. */
export interface Reach {
  readonly kind: 'reach'
  readonly span: Span
  readonly probes: readonly Probe[]
  /** Hosts, or words for several; empty: all. */
  readonly from: readonly Word[]
  readonly to: readonly Word[]
  readonly lines: readonly ReachLine[]
}

/** `tcp 80 443`; `icmp` has no ports. */
export interface Probe {
  readonly kind: 'probe'
  readonly span: Span
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  readonly ports: readonly Word[]
}

/** `tcp 80 client other > web: denied ingress reason "Policy denied"`: of every pair of these. */
export interface ReachLine {
  readonly kind: 'reach-line'
  readonly span: Span
  /** What it speaks of; null: of all that the step asks for. */
  readonly asked: Probe | null
  readonly from: readonly Word[]
  readonly to: readonly Word[]
  readonly verdict: Word
  readonly reason: Word | null
}

/** `on n1 { route add ...; neigh ... }`: statements of a host, carried out now; `del` removes what equals the statement. */
export interface OnHost {
  readonly kind: 'on-host'
  readonly span: Span
  readonly host: Place
  readonly changes: readonly Change[]
}

export interface Change {
  readonly kind: 'change'
  readonly span: Span
  readonly verb: 'add' | 'del' | 'replace'
  readonly item: HostItem | HostAddress
}

/** `addr 10.0.0.5/24 dev eth0`. */
export interface HostAddress {
  readonly kind: 'addr'
  readonly span: Span
  readonly address: Word
  readonly device: Word
}
