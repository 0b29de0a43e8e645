// `cni bridge`: the bridge plugin alone. Nobody announces the ranges of nodes; `routing native` gives every node a route to
// each of the others, as an administrator or a cloud's route table would.
import { formatPrefix } from '../net/prefix.ts'
import { bridgeHosts, bridgeName } from './bridge-port.ts'
import { type CniFamily, familiesOf } from './family.ts'
import { type CniCluster, type CniHost, type CniNode, emptyHost, podsOn, underlayMtu } from './plan.ts'
import { portmapHost } from './portmap.ts'

/** Routes to the ranges of all other nodes through their addresses. */
export function nodeRoutes(
  cluster: CniCluster,
  node: CniNode,
  families: readonly CniFamily[] = familiesOf(cluster),
): CniHost {
  const own = node.underlay
  if (own === undefined) return emptyHost(node.name)
  return {
    ...emptyHost(node.name),
    routes: families.flatMap((family) =>
      cluster.nodes.flatMap((other) => {
        const via = family.underlay(other)
        if (other === node || via === undefined || family.underlay(node) === undefined) return []
        return family
          .blocks(other)
          .map((prefix) => ({ prefix, type: 'unicast' as const, via, device: own.device }))
      }),
    ),
  }
}

/** What the cluster's hosts get; a host may appear several times. */
export function planBridge(cluster: CniCluster): readonly CniHost[] {
  return cluster.nodes.flatMap((node) => {
    const pods = podsOn(cluster, node)
    const mtu = underlayMtu(node)
    const [range] = node.blocks
    const ports = portmapHost(node.name, pods, {
      device: () => bridgeName,
      range: () => (range === undefined ? '0.0.0.0/0' : formatPrefix(range)),
    })
    return [
      ...bridgeHosts(node, pods, familiesOf(cluster), {
        mtu,
        hairpin: true,
        masquerade: cluster.masquerade,
        podRoutes: [],
      }),
      nodeRoutes(cluster, node),
      ...(ports === undefined ? [] : [ports]),
    ]
  })
}
