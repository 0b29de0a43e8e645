// From a driver's ring to the stack: one packet after the other, or in polls of up to 64 (net/core/dev.c
// napi_poll(), drivers/net/veth.c veth_poll(), net/core/gro_cells.c).
import type { NetDevice } from './device/device.ts'
import { Gro } from './gro.ts'
import { netifReceive, netifReceiveList, receive, throughDriver } from './receive.ts'
import type { Skb } from './skb.ts'

/** NAPI_POLL_WEIGHT */
const budget = 64

/** Packets that wait for the next poll of a device, and whether its driver has yet to see them. */
export interface PollQueue {
  readonly packets: { readonly skb: Skb; readonly fresh: boolean }[]
}

/** netif_elide_gro(): a generic XDP program wants every packet by itself. */
function merges(dev: NetDevice): boolean {
  return dev.offloads.gro && dev.xdp?.mode !== 'generic'
}

/**
 * Whether packets are taken in batches: with GRO, and where a native program has a ring and a poll function (a veth gets
 * them with it; what a card without one hands up in its poll is the same packet by packet).
 */
function polls(dev: NetDevice): boolean {
  return merges(dev) || ((dev.kind === 'veth' || dev.kind === 'phys') && dev.xdp?.mode === 'native')
}

/** A frame lies in the ring of a device; `skb.data` stands at its MAC header. */
export function arrive(dev: NetDevice, skb: Skb): void {
  if (polls(dev)) enqueue(dev, skb, true)
  else dev.ns.machine.clock.soon(() => receive(dev, skb))
}

/** gro_cells_receive(): a tunnel device has opened a packet; `skb.dev` and what eth_type_trans() sets are set. */
export function arriveFromTunnel(dev: NetDevice, skb: Skb): void {
  if (merges(dev)) enqueue(dev, skb, false)
  else dev.ns.machine.clock.soon(() => netifReceive(skb))
}

function enqueue(dev: NetDevice, skb: Skb, fresh: boolean): void {
  if (dev.pollQueue === undefined) {
    dev.pollQueue = { packets: [] }
    dev.ns.machine.clock.poll(() => poll(dev))
  }
  dev.pollQueue.packets.push({ skb, fresh })
}

/** One poll: XDP for each packet, GRO over all of them, then the stack. True when the budget is used up: there may be more. */
function poll(dev: NetDevice): boolean {
  const queue = dev.pollQueue
  if (queue === undefined) return false
  const gro = new Gro(dev, netifReceiveList, merges(dev))
  for (const { skb, fresh } of queue.packets.splice(0, budget)) {
    if (!fresh || throughDriver(dev, skb)) gro.receive(skb)
  }
  const again = queue.packets.length > 0
  if (!again) dev.pollQueue = undefined
  gro.finish()
  return again
}
