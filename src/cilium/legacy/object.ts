// Maps of a node and of an endpoint under Cilium 1.10. Objects are loaded as those of 1.19 are (datapath/object.ts).
import type { NodeMaps } from '../datapath/ctx.ts'
import { createNodeMaps, madeMap } from '../datapath/object.ts'
import { legacyMapSpecs, legacyPolicySpec } from './specs.ts'

/** The pinned maps of a node, empty. */
export function createLegacyNodeMaps(cpus: number, maglevSlots?: number): NodeMaps {
  const specs = legacyMapSpecs
  return {
    ...createNodeMaps(cpus, maglevSlots),
    cilium_ipcache: madeMap(specs.cilium_ipcache, cpus),
    cilium_tunnel_map: madeMap(specs.cilium_tunnel_map, cpus),
    cilium_egress_v4: madeMap(specs.cilium_egress_v4, cpus),
    cilium_lb4_backends: madeMap(specs.cilium_lb4_backends, cpus),
    cilium_lb6_backends: madeMap(specs.cilium_lb6_backends, cpus),
  }
}

/** The policy map of an endpoint, empty. */
export function createLegacyPolicyMap(endpointId: number, cpus: number) {
  return madeMap(legacyPolicySpec(endpointId), cpus)
}
