// Cilium as it runs on a machine: what traces, states, claims and views read of it. Made by whoever boots a cluster.
import type { BpfMap } from '../bpf/maps/map.ts'
import type { AgentState } from './agent/agent.ts'
import type { NodeMaps } from './datapath/ctx.ts'
import type { Era } from './decode/notification.ts'

/** One node with its agent's maps. */
export interface InstalledNode {
  readonly name: string
  readonly maps: NodeMaps
  /** Policy maps by endpoint id. */
  readonly policies: ReadonlyMap<number, BpfMap>
  /** What its agent decided last: answers of name servers change it. */
  agent: AgentState
}

/** All nodes of a cluster. */
export interface InstalledCilium {
  readonly clusterName: string
  readonly era: Era
  readonly nodes: ReadonlyMap<string, InstalledNode>
  /** What agents knew until a step told them something else: how many packets had been born then, and the nodes. */
  readonly past: readonly { readonly packets: number; readonly nodes: ReadonlyMap<string, InstalledNode> }[]
  /** The identities that each endpoint has had, by the pod's name; the first is that of the start. */
  readonly identities: ReadonlyMap<string, readonly number[]>
}
