// What a trace tells of a packet before it is encrypted, and once it is open: nobody can read it in between.
import { dissect } from '../net/dissect.ts'
import { summarise } from '../net/summarise.ts'
import type { Fact } from '../trace/event.ts'
import type { NetDevice } from './device/device.ts'
import type { Skb } from './skb.ts'

/** The line about the packet at `skb.data`, for level full. */
export function insideOf(dev: NetDevice, skb: Skb): readonly Fact[] {
  if (dev.ns.machine.trace?.full !== true) return []
  const text = summarise(dissect(skb.bytes.slice(skb.data, skb.tail), 'ip'))
  return [{ kind: 'kernel', word: 'inside', text }]
}
