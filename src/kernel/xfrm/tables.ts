// struct netns_xfrm: what a namespace knows of IPsec; there once it has a policy or a state.
import type { Route } from '../ip/route.ts'
import type { Namespace } from '../namespace.ts'
import { PolicyTable } from './policy.ts'
import { StateTable, type XfrmState } from './state.ts'

export interface XfrmTables {
  readonly policies: PolicyTable
  readonly states: StateTable
}

/** struct sec_path: by which states a packet was decrypted, and how many of them policies have accepted. */
export interface SecurityPath {
  readonly states: readonly XfrmState[]
  verified: number
}

/** struct xfrm_dst: a packet is transformed by a state, and then goes the way of another route. */
export interface Bundle {
  readonly state: XfrmState
  /** Without the transformation. */
  readonly route: Route
  /** With it, which may lead to another one. */
  readonly child: Route
}

/** Tables with nothing in them. */
export function emptyTables(): XfrmTables {
  return { policies: new PolicyTable(), states: new StateTable() }
}

/** The tables of a namespace, new ones where there are none. */
export function xfrmOf(ns: Namespace): XfrmTables {
  ns.xfrm ??= emptyTables()
  return ns.xfrm
}

/** rt_genid_bump_all(): after a change of policies and states sockets look for their routes anew. */
export function xfrmChanged(ns: Namespace): void {
  ns.ip.v4.generation += 1
  if (ns.ip.asked6) ns.ip.v6.generation += 1
}
