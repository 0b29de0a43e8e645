// A cluster seen by one family: most of what a plugin does for IPv4 it does once more for IPv6.
import type { IpAddress } from '../net/address.ts'
import type { Prefix } from '../net/prefix.ts'
import type { CniCluster, CniHost, CniNode, CniPod, CniTable } from './plan.ts'

export interface CniFamily {
  readonly family: 4 | 6
  readonly podCidr: Prefix
  readonly blocks: (node: CniNode) => readonly Prefix[]
  /** The address that other nodes reach a node by. */
  readonly underlay: (node: CniNode) => IpAddress | undefined
  readonly address: (pod: CniPod) => IpAddress | undefined
}

/** The families that pods of a cluster have, IPv4 first. */
export function familiesOf({ podCidr, podCidr6 }: CniCluster): readonly CniFamily[] {
  const four: CniFamily = {
    family: 4,
    podCidr,
    blocks: (node) => node.blocks,
    underlay: (node) => node.underlay?.address,
    address: (pod) => pod.address,
  }
  if (podCidr6 === undefined) return [four]
  const six: CniFamily = {
    family: 6,
    podCidr: podCidr6,
    blocks: (node) => node.blocks6,
    underlay: (node) => node.underlay?.address6,
    address: (pod) => pod.address6,
  }
  return [four, six]
}

/** A node that routes for its pods. */
export function forwardingOf({ family }: CniFamily): CniHost['sysctls'][number] {
  return { key: `net.ipv${family}.conf.all.forwarding`, value: 1 }
}

/** Rules of a family's own tables. */
export function tableOf({ family }: CniFamily, table: CniTable): CniTable {
  return family === 6 ? { ...table, family } : table
}

/** All groups, which nobody masquerades. */
export function multicastOf({ family }: CniFamily): string {
  return family === 4 ? '224.0.0.0/4' : 'ff00::/8'
}
