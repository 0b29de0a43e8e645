// Numbers of the other nodes, by which the datapath names them in marks and to the agent (cilium
// pkg/datapath/linux/node_ids.go). This node is 0.
import { numbersFor } from '../../base/hash.ts'
import type { IpAddress } from '../../net/address.ts'
import { keyOf } from './ipcache.ts'
import type { NodeAddresses } from './node-addresses.ts'

/** One entry of cilium_node_map_v2. */
export interface NodeId {
  readonly address: IpAddress
  readonly id: number
  /** Index of the key that traffic to the node is encrypted with; 0: none. */
  readonly spi: number
}

const firstId = 1
const lastId = 65_535

/** allocateIDForNode() for every other node: one number for all of its addresses. Real agents take whatever is free. */
export function nodeIdsOf(own: NodeAddresses, all: readonly NodeAddresses[]): readonly NodeId[] {
  const others = all.filter((each) => each !== own)
  const numbers = numbersFor(
    others.map(({ node }) => node.name),
    firstId,
    lastId,
  )
  const spi = keyOf(own.node)
  return others.flatMap(({ node, host }) =>
    host.map((address) => ({ address, id: numbers.get(node.name) ?? 0, spi })),
  )
}
