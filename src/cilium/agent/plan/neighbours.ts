// What 1.10 asks the wire for before a packet needs it: the MAC addresses of the other nodes, for ever, because programs that look
// up routes cannot wait for answers (cilium v1.10 pkg/datapath/linux/node.go insertNeighbor()). Nodes behind a gateway are left out.
import { isIpv4, sameIp } from '../../../net/address.ts'
import { covers, networkOf } from '../../../net/prefix.ts'
import type { NodeAddresses } from '../node-addresses.ts'
import type { NeighbourPlan } from './plan.ts'

/** Whether programs of the node look up neighbours: those of NodePort, and of IPsec without a tunnel. IPv4 alone. */
function discovers({ node: { config } }: NodeAddresses): boolean {
  const { version, ipv4, kubeProxyReplacement, encryption, routing } = config
  const sendsEncrypted = encryption === 'ipsec' && routing !== 'tunnel'
  return version === '1.10' && ipv4 && (kubeProxyReplacement || sendsEncrypted)
}

/** Permanent entries for the nodes on the wire of the first device. */
export function nodeNeighbours(
  own: NodeAddresses,
  others: readonly NodeAddresses[],
): readonly NeighbourPlan[] {
  const [first] = own.node.devices
  if (first === undefined || !discovers(own)) return []
  return others.flatMap(({ ip4, node }): readonly NeighbourPlan[] => {
    if (ip4 === undefined || !isIpv4(ip4)) return []
    const isNear = first.addresses.some((prefix) => isIpv4(prefix.address) && covers(networkOf(prefix), ip4))
    const theirs = node.devices.find(({ addresses }) => addresses.some(({ address }) => sameIp(address, ip4)))
    return isNear && theirs !== undefined ? [{ address: ip4, mac: theirs.mac, device: first.name }] : []
  })
}
