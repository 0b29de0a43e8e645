// sk_txhash: the number that a connected socket puts on its packets in place of a hash of their headers. It decides the
// source port of a tunnel, and so the path of the flow through a network; Linux draws another when nothing comes back.
// include/net/sock.h sk_set_txhash(), sk_rethink_txhash(), skb_set_hash_from_sk().
import type { Skb } from '../skb.ts'
import { flowKey } from './lookup.ts'
import type { Socket } from './socket.ts'

/** Draws for one flow that stay apart from those for another. */
const drawsMost = 0x1_0000

/** sk_set_txhash(): a number of chance that is never 0, by the socket's two ends and how often such a socket has drawn. */
export function drawTxHash(socket: Socket): void {
  const { localAddress: local, localPort, remoteAddress: remote, remotePort, ns } = socket
  const flow = flowKey({ local, localPort, remote, remotePort })
  ns.sockets.txDraws ??= new Map()
  const draws = (ns.sockets.txDraws.get(flow) ?? 0) + 1
  ns.sockets.txDraws.set(flow, draws)
  socket.txHash = ns.machine.random('sk_txhash', flow * drawsMost + draws) || 1
}

/**
 * sk_rethink_txhash(): another number, so that a network with several paths tries another one (`net.core.txrehash`). False
 * where the socket has none, or must keep it.
 */
export function rethinkTxHash(socket: Socket): boolean {
  if (socket.txHash === 0 || !socket.txRehash) return false
  drawTxHash(socket)
  return true
}

/** skb_set_hash_from_sk(): a socket that is not connected has none to give. */
export function hashFromSocket(skb: Skb, socket: Socket): void {
  if (socket.txHash === 0) return
  skb.hash = socket.txHash
  skb.l4Hash = true
}
