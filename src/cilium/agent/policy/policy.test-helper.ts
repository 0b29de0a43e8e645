// Four pods and what policies let them do, for tests.
import { decide } from '../agent.ts'
import { clusterOf, podYaml, reachability, type TestOptions, verdict } from '../cluster.test-helper.ts'

export const tcp = 6
export const udp = 17
export const icmp = 1

/** `web` and `ops` on n1, `db` on n2; `guest` on n2 in the namespace `other`, with a label of `web`. */
export const pods =
  podYaml('web', '10.0.1.10', 'app=web,tier=front') +
  podYaml(
    'db',
    '10.0.2.10',
    'app=db',
    ', containers: [ { name: c, ports: [ { name: sql, containerPort: 5432 } ] } ]',
  ) +
  podYaml('ops', '10.0.1.11', 'app=ops') +
  podYaml('other/guest', '10.0.2.11', 'app=web')

const names = ['web', 'db', 'ops', 'guest']

/** A NetworkPolicy, a CiliumNetworkPolicy, a CiliumClusterwideNetworkPolicy with this spec. */
export const kubernetes = (spec: string, namespace = 'default'): string =>
  `---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: p, namespace: ${namespace} }\nspec: { ${spec} }\n`
export const cilium = (spec: string, name = 'p'): string =>
  `---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`
export const clusterwide = (spec: string): string =>
  `---\napiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: { name: p }\nspec: { ${spec} }\n`

/** A line for each pod: whom it reaches. */
export function reach(
  policies: string,
  probe = { protocol: tcp, port: 80 },
  options: TestOptions = {},
): readonly string[] {
  return reachability(clusterOf(pods + policies, options), names, probe)
}

/** From one end to another, by the maps. */
export function from(policies: string, source: string, target: string, options: TestOptions = {}) {
  const cluster = clusterOf(pods + policies, options)
  const state = decide(cluster)
  return (port: number, protocol = tcp): string => verdict(cluster, state, source, target, { protocol, port })
}

/** What `reach` says where nothing is denied. */
export const everything = ['web  ...', 'db . ..', 'ops .. .', 'guest ... ']
