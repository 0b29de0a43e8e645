// What must be true of state rather than of a packet, as written. Such a statement stands alone in a scenario.
import type { Counter } from './ast-expect.ts'
import type { CompareOperator, Expr, Label, Place, Span, Word } from './ast-words.ts'

/** What speaks of state stands alone in a scenario and holds at that point of it. */
export type Statement = StateClaim | MapClaim | Metric | Counter

/** `state n1 conntrack empty`, `state n1 neigh 10.0.0.2 == failed`, `state n1 route 10.0.0.0/8 absent`. */
export interface StateClaim {
  readonly kind: 'state'
  readonly span: Span
  readonly place: Place
  readonly table:
    | 'conntrack'
    | 'nat'
    | 'neigh'
    | 'fdb'
    | 'route'
    | 'rule'
    | 'socket'
    | 'ipvs'
    | 'affinity'
    | 'link'
  /** The words between the table and what is claimed of it. */
  readonly entry: readonly Word[]
  readonly claim: 'empty' | 'present' | 'absent' | CompareOperator
  /** The right side of an operator. */
  readonly value: Expr | null
}

/** `map n1/cilium_lb4_services KEY == VALUE`, `map host/hits[6] == 3`; the operator is null for `present` and `absent`. */
export interface MapClaim {
  readonly kind: 'map-claim'
  readonly span: Span
  readonly place: Place
  readonly key: Expr | null
  readonly claim: 'empty' | 'present' | 'absent' | CompareOperator
  readonly value: Expr | null
}

/** `metric n1 drop_count reason "Policy denied" direction ingress >= 1`. */
export interface Metric {
  readonly kind: 'metric'
  readonly span: Span
  readonly place: Place
  readonly name: Word
  /** `reason "..."`: the key is the first word. */
  readonly labels: readonly Label[]
  readonly operator: CompareOperator
  readonly value: Expr
}
