// A `cluster none` that runs (its CNI is there): words of other clusters, which nothing carries out in it, say so.
import type { Report } from '../../base/diagnostic.ts'
import { notYet, optionsNotYet } from '../resolve/unavailable.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { clusterCni } from '../world/cluster-devices.ts'

/** What src/model/resolve/cluster.ts reads. */
const carriedOut: readonly string[] = ['cni', 'routing', 'masquerade', 'pod-cidr']

/** Items of the cluster, and options of its pods. What is in a cluster without an engine is covered by its own warning. */
export function plainClusters({ entities }: WorldDraft, report: Report): void {
  if (clusterCni(entities.clusters) === undefined) return
  for (const { items } of entities.clusters) {
    for (const item of items) {
      if (item.kind === 'option' && carriedOut.includes(item.name)) continue
      // sysctls, the kernel and the neighbours hold on all hosts, with those of the topology
      if (item.kind === 'kernel' || item.kind === 'sysctl' || item.kind === 'neighbours') continue
      const what = item.kind === 'option' ? `\`${item.name}\`` : 'this setting'
      notYet(item.span, `${what} of a cluster without an agent`, report)
    }
  }
  for (const { options } of entities.pods) optionsNotYet(options, ['annotation'], report)
}
