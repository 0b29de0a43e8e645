// Conntrack in the hooks of a namespace: defragmentation before raw, look-up after it, confirmation at the very end
// (nf_conntrack_proto.c, nf_defrag_ipv4.c, nf_defrag_ipv6_hooks.c). Registered when the first rule needs it (facts: linux 4.8, 4.11).
import { ipv4IsFragment } from '../../net/ipv4.ts'
import type { Fact } from '../../trace/event.ts'
import { endPacket } from '../drop.ts'
import { fragmentUser } from '../ip/fragment-queue.ts'
import { reassemble } from '../ip/reassembly.ts'
import { gather6 } from '../ip6/defrag.ts'
import type { Namespace } from '../namespace.ts'
import { type HookEntry, type HookName, type HookVerdict, priority } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import { connInfo } from './connection.ts'
import { ConntrackTable } from './table.ts'
import { confirm, trackPacket } from './track.ts'

const reason = 'SKB_DROP_REASON_NETFILTER_DROP'
/** What the kernel's log says too. */
const tableFull: Fact = { kind: 'kernel', word: 'ct', text: 'table full, dropping packet' }

/** The whole packet takes the place of its last fragment, so that the hooks that follow see it. */
export function become(skb: Skb, whole: Skb): void {
  skb.bytes = whole.bytes
  skb.data = whole.data
  skb.tail = whole.tail
  skb.macHeader = whole.macHeader
  skb.networkHeader = whole.networkHeader
  skb.mark = whole.mark
  skb.fragmentMax = whole.fragmentMax
  skb.ignoreDf = true
  skb.fragmentSizes = whole.fragmentSizes
  skb.seen = whole.seen
  skb.route = whole.route
}

/** Seen before (on lo), or not to be tracked. */
function needsNoWhole(skb: Skb): boolean {
  if (skb.nfct !== undefined && !skb.nfct.template) return true
  return skb.nfctInfo === connInfo.untracked && skb.nfct === undefined
}

/** ipv4_conntrack_defrag(). */
function defragment(ns: Namespace, skb: Skb): HookVerdict {
  if (needsNoWhole(skb)) return 'accept'
  if (!ipv4IsFragment(skb.bytes, skb.networkHeader)) return 'accept'
  const whole = reassemble(ns, skb, fragmentUser.conntrackIn)
  if (whole === undefined) return 'stolen'
  if (whole !== skb) become(skb, whole)
  return 'accept'
}

/** ipv6_defrag(). */
function defragment6(ns: Namespace, skb: Skb, hook: HookName): HookVerdict {
  if (needsNoWhole(skb)) return 'accept'
  const gathered = gather6(ns, skb)
  if (gathered === 'waits') return 'stolen'
  if (gathered === 'drop') return gone(ns, skb, hook)
  if (gathered !== skb) become(skb, gathered)
  return 'accept'
}

function defragEntry(family: 4 | 6, hook: HookName): HookEntry {
  const run: HookEntry['run'] = family === 4 ? defragment : (ns, skb) => defragment6(ns, skb, hook)
  return { family, hook, priority: priority.conntrackDefrag, run }
}

/** A packet that conntrack itself drops: the table is full, no tuple was free for it, or its pieces contradict. */
function gone(ns: Namespace, skb: Skb, hook: HookName, facts: readonly Fact[] = []): HookVerdict {
  const site = { node: ns.name, device: '', stage: 'nf' } as const
  ns.machine.trace?.note(
    skb,
    { ...site, chain: `conntrack/${hook}` },
    { actor: 'kernel', decision: { code: 'DROP' }, facts: [...facts, { kind: 'drop', reason }] },
  )
  endPacket(skb, { ...site, kind: 'dropped', reason })
  return 'drop'
}

function trackEntry(table: ConntrackTable, family: 4 | 6, hook: HookName): HookEntry {
  return {
    family,
    hook,
    priority: priority.conntrack,
    run: (ns, skb) => {
      if (hook === 'OUTPUT' && family === 4 && ipv4IsFragment(skb.bytes, skb.networkHeader)) return 'accept'
      return trackPacket(table, skb, { family, hook }) === 'accept'
        ? 'accept'
        : gone(ns, skb, hook, [tableFull])
    },
  }
}

function confirmEntry(table: ConntrackTable, family: 4 | 6, hook: HookName): HookEntry {
  return {
    family,
    hook,
    priority: priority.conntrackConfirm,
    run: (ns, skb) => (confirm(table, skb) === 'accept' ? 'accept' : gone(ns, skb, hook)),
  }
}

/** nf_defrag_ipv4_enable(), nf_defrag_ipv6_enable(): packets are whole from raw on; again does nothing. */
export function enableDefrag(ns: Namespace, family: 4 | 6, user: string): void {
  const hooks = ['PREROUTING', 'OUTPUT'] as const
  ns.netfilter.acquire(`defrag${family}`, user, () => hooks.map((hook) => defragEntry(family, hook)))
}

/** nf_defrag_ipv4_disable(). */
export function releaseDefrag(ns: Namespace, family: 4 | 6, user: string): void {
  ns.netfilter.release(`defrag${family}`, user)
}

/**
 * nf_ct_netns_get(): switches connection tracking on for a family and a user; again does nothing. Flows of an earlier time
 * are still there; what was seen of the windows of TCP counts no more (nf_ct_tcp_fixup()).
 */
export function enableConntrack(ns: Namespace, family: 4 | 6, user = 'rules'): ConntrackTable {
  const { netfilter } = ns
  const table = netfilter.conntrack ?? new ConntrackTable(ns)
  netfilter.conntrack = table
  const first = netfilter.acquire(`conntrack${family}`, user, () => [
    ...(['PREROUTING', 'OUTPUT'] as const).map((hook) => trackEntry(table, family, hook)),
    ...(['INPUT', 'POSTROUTING'] as const).map((hook) => confirmEntry(table, family, hook)),
  ])
  if (!first) return table
  enableDefrag(ns, family, 'conntrack')
  table.active.add(family)
  for (const { original, tcp } of table.list()) {
    if (original.family !== family || tcp === undefined) continue
    for (const side of tcp.sides) side.maxWindow = 0
  }
  return table
}

/** nf_ct_netns_put(): flows stay until their time is up, but no packet looks for them. */
export function releaseConntrack(ns: Namespace, family: 4 | 6, user = 'rules'): void {
  if (!ns.netfilter.release(`conntrack${family}`, user)) return
  ns.netfilter.conntrack?.active.delete(family)
  releaseDefrag(ns, family, 'conntrack')
}
