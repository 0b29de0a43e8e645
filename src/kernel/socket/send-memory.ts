// sk_wmem_alloc: what a socket's packets occupy while they wait in a queue of this host. Packets that are handed on at once
// are never charged. net/core/sock.c sock_wfree(), net/ipv4/tcp_output.c tcp_wfree().
import type { Skb } from '../skb.ts'

/** SKB_TRUESIZE of a buffer of this length: sk_buff, skb_shared_info and the buffer, as 6.18 accounts them. */
export function sendTruesize(bytes: number): number {
  const overhead = 576
  const step = 256
  return overhead + Math.ceil(Math.max(bytes, 1) / step) * step
}

/** skb_set_owner_w(): the packet counts against its socket from now on. Nothing happens without a socket. */
export function chargeSend(skb: Skb): void {
  const { sk } = skb
  if (sk === undefined || skb.sendCharge > 0) return
  skb.sendCharge = sendTruesize(skb.length)
  sk.sendMemory += skb.sendCharge
}

/** The destructor: the socket has room again, and is told. */
export function releaseSend(skb: Skb): void {
  const { sk, sendCharge } = skb
  if (sendCharge === 0) return
  skb.sendCharge = 0
  if (sk === undefined) return
  sk.sendMemory -= sendCharge
  const wake = sk.sendSpace
  sk.sendSpace = undefined
  if (wake !== undefined) sk.ns.machine.clock.atRest(wake)
}
