// Transmissions inside one another: include/linux/netdevice.h dev_xmit_recursion(). A redirect and the queue of a device
// each count one, so that programs that send in a circle come to an end.
import { drop } from './drop.ts'
import type { Machine } from './machine.ts'
import type { Skb } from './skb.ts'

/** include/linux/netdevice.h XMIT_RECURSION_LIMIT: the tenth transmission inside others is refused. */
const recursionMax = 8

/** dev_xmit_recursion(): whether no further transmission may begin inside those that run. */
export function tooManyTransmissions(machine: Machine): boolean {
  return machine.transmitDepth > recursionMax
}

/** Ends a packet that a redirect would send inside too many others ("buggy bpf program?"). */
export function dropRecursiveRedirect(skb: Skb): void {
  drop(skb, { device: skb.dev.name, stage: 'tc-out', reason: 'SKB_DROP_REASON_RECURSION_LIMIT' })
}
