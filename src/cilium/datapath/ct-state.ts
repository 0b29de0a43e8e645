// The words of conntrack: directions, results, scopes, and what a lookup tells the caller about a connection.
// lib/conntrack.h, lib/common.h
import { type MetricDirection, metricDirection } from './metrics.ts'

/** enum ct_dir */
export const ctDirection = { EGRESS: 0, INGRESS: 1, SERVICE: 2 } as const

export type CtDirection = (typeof ctDirection)[keyof typeof ctDirection]

/** enum ct_status */
export const ctStatus = { NEW: 0, ESTABLISHED: 1, REPLY: 2, RELATED: 3 } as const

/** enum ct_scope */
export const ctScope = { FORWARD: 0, REVERSE: 1, BIDIR: 2 } as const

export type CtScope = (typeof ctScope)[keyof typeof ctScope]

/** CT_ENTRY_*: which kinds of entries a lookup may find; 0 is any. */
export const ctEntryType = { ANY: 0, NODEPORT: 1, DSR: 2, SVC: 4 } as const

/** struct ct_state */
export interface CtState {
  /** 16 bytes, as `natAddressBytes` has them. */
  natAddress: Uint8Array
  natPort: number
  revNatIndex: number
  loopback: boolean
  nodePort: boolean
  dsrInternal: boolean
  syn: boolean
  proxyRedirect: boolean
  fromL7lb: boolean
  fromTunnel: boolean
  closing: boolean
  srcSecId: number
  backendId: number
}

/** A state of zeros. */
export function newCtState(): CtState {
  return {
    natAddress: new Uint8Array(16),
    natPort: 0,
    revNatIndex: 0,
    loopback: false,
    nodePort: false,
    dsrInternal: false,
    syn: false,
    proxyRedirect: false,
    fromL7lb: false,
    fromTunnel: false,
    closing: false,
    srcSecId: 0,
    backendId: 0,
  }
}

/** What a lookup answers. */
export interface CtResult {
  /** A CtStatus, or a negative drop reason. */
  readonly status: number
  /** How many bytes of the packet are worth a report; 0: nothing new about this connection. */
  readonly monitor: number
}

/** ct_to_metrics_dir() */
export function metricDirectionOf(direction: CtDirection): MetricDirection {
  if (direction === ctDirection.INGRESS) return metricDirection.INGRESS
  return direction === ctDirection.EGRESS ? metricDirection.EGRESS : metricDirection.SERVICE
}
