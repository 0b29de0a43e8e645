// The words of 1.10's conntrack: its results, one of which 1.19 does not have, and what a lookup tells about a connection.
// bpf/lib/common.h
import type { Address } from '../datapath/family.ts'

/** CT_NEW and its siblings: CT_REOPENED is a state of its own. */
export const ctStatus = { NEW: 0, ESTABLISHED: 1, REPLY: 2, RELATED: 3, REOPENED: 4 } as const

/** struct ct_state */
export interface CtState {
  revNatIndex: number
  loopback: boolean
  nodePort: boolean
  proxyRedirect: boolean
  dsr: boolean
  /** The pod's own address and the service's in a hairpin connection; undefined elsewhere. */
  address: Address | undefined
  serviceAddress: Address | undefined
  srcSecId: number
  /** The device of a NodePort, 16 bits. */
  ifindex: number
  backendId: number
}

/** A state of zeros. */
export function newCtState(): CtState {
  return {
    revNatIndex: 0,
    loopback: false,
    nodePort: false,
    proxyRedirect: false,
    dsr: false,
    address: undefined,
    serviceAddress: undefined,
    srcSecId: 0,
    ifindex: 0,
    backendId: 0,
  }
}

/** Whether a packet belongs to the other direction of a known connection: policy is not asked. */
export function isReverse(status: number): boolean {
  return status === ctStatus.REPLY || status === ctStatus.RELATED
}
