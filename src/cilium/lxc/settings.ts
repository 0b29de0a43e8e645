// What bpf_lxc derives from its defines and its map of services, once. bpf_lxc.c
import type { Defines } from '../datapath/defines.ts'

/** ENABLE_PER_PACKET_LB: not every service is translated at the socket. */
export function hasPerPacketLb(node: Defines): boolean {
  return (
    !node.ENABLE_SOCKET_LB_FULL ||
    node.ENABLE_SOCKET_LB_HOST_ONLY ||
    node.ENABLE_L7_LB ||
    node.ENABLE_SCTP ||
    node.ENABLE_CLUSTER_AWARE_ADDRESSING
  )
}

/** Whether both families are compiled in: then some calls are tail calls that are otherwise inline. */
export function isDualStack(node: Defines): boolean {
  return node.ENABLE_IPV4 && node.ENABLE_IPV6
}
