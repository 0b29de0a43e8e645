// How packets get their names. Without a trace nothing is named, but every packet is counted against the limit.
import type { Machine } from './machine.ts'
import type { Skb } from './skb.ts'

/** Counts a packet; past the limit it is marked so that its first hop ends it. */
function counted(machine: Machine, skb: Skb): boolean {
  machine.packets += 1
  if (machine.packets <= machine.limits.packetsMax) return true
  machine.reached.add('packetsMax')
  skb.hops = machine.limits.hopsMax
  return false
}

/**
 * Names a packet that somebody outside the kernel sent: `p1`, `f1.syn`. `cause` is the name of what caused it, if any; `flow`
 * the label of the connection it belongs to.
 */
export function born(skb: Skb, name: string, cause?: string, flow = ''): void {
  const { machine } = skb.dev.ns
  if (!counted(machine, skb)) return
  machine.trace?.birth(skb, cause === undefined ? { name, flow } : { name, cause, flow })
}

/**
 * Names a packet that the kernel made because of another: `p1.icmp`, `p1.arp`, `f1.syn.rst`. Without a recorded parent
 * it is named by its kind and the node that made it.
 */
export function bornFrom(parent: Skb | undefined, skb: Skb, kind: string): void {
  const { machine } = skb.dev.ns
  if (!counted(machine, skb)) return
  const { trace } = machine
  if (trace === undefined) return
  const cause = parent?.record
  if (cause === undefined) trace.birth(skb, { name: `${skb.dev.ns.name}.${kind}` })
  else trace.birth(skb, { name: `${cause.name}.${kind}`, cause: cause.name })
}

/** The name of the next answer to a datagram of a flow: `f1.rdata1`, `f1.rdata2` ..., whichever socket sends it. */
export function answerName({ answers }: Machine, flow: string): string {
  const number = (answers.get(flow) ?? 0) + 1
  answers.set(flow, number)
  return `${flow}.rdata${number}`
}
