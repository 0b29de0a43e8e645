// What must be true, resolved: the words of an expectation as values. `run/expect` evaluates them on a trace.
import type { Span } from '../base/text.ts'
import type { IpAddress } from '../net/address.ts'
import type { Mac } from '../net/mac.ts'
import type { Prefix } from '../net/prefix.ts'
import type { CompareOperator } from '../syntax/ast.ts'
import type { Given } from './model.ts'

/** A place: `host/eth0/tc-in` as its parts; missing parts match anything. `nothing` is the cell `-`. */
export interface PlaceRef {
  readonly text: string
  readonly node: string
  readonly device?: string
  readonly stage?: string
  /** `nf/TABLE/CHAIN`, `cgroup/HOOK`. */
  readonly chain?: string
  readonly nothing: boolean
}

/** A value that a field may be compared with. */
export type Value =
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'addresses'; readonly addresses: readonly IpAddress[]; readonly name?: string }
  | { readonly kind: 'prefix'; readonly prefix: Prefix }
  | { readonly kind: 'mac'; readonly mac: Mac }
  | { readonly kind: 'flags'; readonly flags: number }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'endpoint'; readonly addresses: readonly IpAddress[]; readonly port: number | undefined }
  | { readonly kind: 'list'; readonly items: readonly Value[] }
  | { readonly kind: 'field'; readonly field: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'nothing' }

export type FieldTest =
  | {
      readonly kind: 'compare'
      readonly field: string
      readonly operator: CompareOperator
      readonly value: Given<Value>
      readonly span: Span
    }
  | { readonly kind: 'present'; readonly field: string; readonly span: Span }
  | { readonly kind: 'not'; readonly test: FieldTest; readonly span: Span }
  | { readonly kind: 'and' | 'or'; readonly tests: readonly FieldTest[]; readonly span: Span }

export type ClaimBody =
  | { readonly kind: 'delivered'; readonly to: Given<PlaceRef> }
  | { readonly kind: 'dropped'; readonly at: Given<PlaceRef>; readonly reason?: Given<string> }
  | { readonly kind: 'reason'; readonly reason: Given<string> }
  | { readonly kind: 'outcome'; readonly outcome: Given<string>; readonly place?: Given<PlaceRef> }
  | { readonly kind: 'path'; readonly hops: readonly (Given<PlaceRef> | 'gap')[] }
  | { readonly kind: 'unchanged'; readonly fields: readonly Given<string>[] }
  | {
      readonly kind: 'dnat' | 'snat'
      readonly form: 'rewrite' | 'none' | 'any'
      readonly from?: Given<Value>
      readonly to?: Given<Value>
      readonly place?: Given<PlaceRef>
      readonly by?: Given<string>
    }
  | {
      readonly kind: 'encap'
      readonly protocol?: string
      readonly from?: Given<Value>
      readonly to?: Given<Value>
      readonly vni?: Given<Value>
      readonly place?: Given<PlaceRef>
    }
  | {
      readonly kind: 'verdict'
      readonly place: Given<PlaceRef>
      readonly operator: CompareOperator
      readonly code: Given<string>
    }
  | { readonly kind: 'chain'; readonly chains: readonly Given<string>[]; readonly place?: Given<PlaceRef> }
  | {
      readonly kind: 'rule'
      readonly place: Given<PlaceRef>
      readonly text: Given<string>
      readonly matched: boolean
    }
  | { readonly kind: 'reply'; readonly claim: ClaimBody }
  | { readonly kind: 'field'; readonly test: FieldTest }
  | { readonly kind: 'event'; readonly event: Given<string>; readonly on?: Given<PlaceRef> }
  | { readonly kind: 'reaches'; readonly target: Given<PlaceRef> }
  | {
      readonly kind: 'icmp'
      readonly type: Given<string>
      readonly from?: Given<PlaceRef>
      readonly withinNs?: number
    }
  | {
      readonly kind: 'flow-state'
      readonly state: 'established' | 'timeout' | 'closed' | 'refused' | 'reset'
    }
  /** `-`: the queue is empty. */
  | { readonly kind: 'error-queue'; readonly errno: Given<string>; readonly from?: Given<PlaceRef> }
  | { readonly kind: 'errno'; readonly call: string; readonly errno: Given<string> }
  | {
      readonly kind: 'socket-name'
      readonly call: 'getpeername' | 'getsockname'
      readonly operator: CompareOperator
      readonly value: Given<Value>
    }
  | {
      readonly kind: 'counter'
      readonly place: Given<PlaceRef>
      readonly name: Given<string>
      readonly operator: CompareOperator
      readonly value: Given<Value>
    }
  | {
      readonly kind: 'policy'
      readonly decision: 'allow' | 'deny'
      readonly direction?: 'ingress' | 'egress'
      readonly place?: Given<PlaceRef>
    }
  | { readonly kind: 'to-proxy'; readonly place?: Given<PlaceRef> }
  | { readonly kind: 'monitor'; readonly points: readonly Given<string>[] }
  | {
      readonly kind: 'metric'
      readonly node: Given<PlaceRef>
      readonly name: Given<string>
      readonly labels: readonly { readonly key: string; readonly value: Given<string> }[]
      readonly operator: CompareOperator
      readonly value: Given<Value>
    }
  | { readonly kind: 'capture'; readonly variable: string; readonly field: string }
  | { readonly kind: 'place-reached'; readonly place: Given<PlaceRef> }
  | { readonly kind: 'effect'; readonly effect: string }
  | {
      readonly kind: 'state'
      readonly node: Given<PlaceRef>
      readonly table: string
      readonly entry: readonly Given<string>[]
      readonly claim: 'empty' | 'present' | 'absent' | CompareOperator
      readonly value?: Given<Value>
    }
  | {
      readonly kind: 'map'
      readonly node: string
      readonly map: Given<string>
      readonly key?: Given<Value>
      readonly claim: 'empty' | 'present' | 'absent' | CompareOperator
      readonly value?: Given<Value>
    }

/** A claim with where it is asked and whether it must be true or must never be true. */
export interface Claim {
  /** `at PLACE`: the packet as it left that place; without it the packet at its final place. */
  readonly at?: Given<PlaceRef>
  readonly never: boolean
  readonly body: ClaimBody
  readonly span: Span
}
