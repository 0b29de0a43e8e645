// Egress gateway of 1.10, an experiment then: one map, asked by the pod's program for the gateway and by to-netdev of the
// gateway for the address. bpf/lib/eps.h egress_lookup4()
import { present } from '../../base/assert.ts'
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { type Address, ipv4 } from '../datapath/family.ts'

/** struct egress_info */
export interface EgressInfo {
  readonly egressAddress: Address
  /** The node that has this address. */
  readonly tunnelEndpoint: Address
}

const prefixBytes = 4

/** lookup_ip4_egress_endpoint(): exact source, longest prefix of the destination. */
export function lookupEgress(ctx: Ctx, source: Address, destination: Address): EgressInfo | undefined {
  const { addressBytes } = ipv4
  const key = new Uint8Array(prefixBytes + addressBytes * 2)
  writeLe32(key, 0, addressBytes * 16)
  key.set(source, prefixBytes)
  key.set(destination, prefixBytes + addressBytes)
  const map = present(ctx.maps.cilium_egress_v4, 'a node with Cilium 1.10 has cilium_egress_v4')
  const value = ctx.lookup(map, key)
  if (value === undefined) return undefined
  return { egressAddress: value.slice(0, addressBytes), tunnelEndpoint: value.slice(addressBytes) }
}
