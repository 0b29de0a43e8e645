// One rule with one direction: whom it is about, which peers and ports, what becomes of the traffic. Policies of every
// kind become lists of these (cilium pkg/policy/types/policyentry.go).
import type { PortRule } from '../../../cluster/cilium-ports.ts'
import type { Selector } from './selector.ts'

export type AuthMode = 'disabled' | 'required' | 'test-always-fail'

export interface PolicyEntry {
  readonly subject: Selector
  /** The subject is a node: a host policy. */
  readonly node: boolean
  readonly ingress: boolean
  readonly deny: boolean
  /** Whether subjects lose all other traffic in this direction. */
  readonly defaultDeny: boolean
  /** Undefined: no peer at all. Empty: with ports any peer, without ports nothing. */
  readonly peers: readonly Selector[] | undefined
  readonly ports: readonly PortRule[]
  readonly authentication?: AuthMode
  /** `log.value`: what Hubble says of a verdict. */
  readonly log?: string
  /** `default/allow-web`: the object that it comes from. */
  readonly origin: string
}
