// Conntrack in the hooks of a namespace: defragmentation before raw, look-up after it, confirmation at the very end
// (nf_conntrack_proto.c, nf_defrag_ipv4.c). Registered when the first rule needs it (facts: linux 4.8, 4.11).
import { ipv4IsFragment } from '../../net/ipv4.ts'
import { endPacket } from '../drop.ts'
import { fragmentUser, reassemble } from '../ip/reassembly.ts'
import type { Namespace } from '../namespace.ts'
import { type HookEntry, type HookName, type HookVerdict, priority } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import { connInfo } from './connection.ts'
import { ConntrackTable } from './table.ts'
import { confirm, trackPacket } from './track.ts'

const reason = 'SKB_DROP_REASON_NETFILTER_DROP'

/** The whole packet takes the place of its last fragment, so that the hooks that follow see it. */
function become(skb: Skb, whole: Skb): void {
  skb.bytes = whole.bytes
  skb.data = whole.data
  skb.tail = whole.tail
  skb.macHeader = whole.macHeader
  skb.networkHeader = whole.networkHeader
  skb.mark = whole.mark
  skb.fragmentMax = whole.fragmentMax
  skb.seen = whole.seen
  skb.route = whole.route
}

/** ipv4_conntrack_defrag(). */
function defragment(ns: Namespace, skb: Skb): HookVerdict {
  if (skb.nfct !== undefined && !skb.nfct.template) return 'accept'
  if (skb.nfctInfo === connInfo.untracked && skb.nfct === undefined) return 'accept'
  if (!ipv4IsFragment(skb.bytes, skb.networkHeader)) return 'accept'
  const whole = reassemble(ns, skb, fragmentUser.conntrackIn)
  if (whole === undefined) return 'stolen'
  if (whole !== skb) become(skb, whole)
  return 'accept'
}

/** A packet that conntrack itself drops: the table is full, or no tuple was free for it. */
function gone(ns: Namespace, skb: Skb, hook: HookName): HookVerdict {
  const site = { node: ns.name, device: '', stage: 'nf' } as const
  ns.machine.trace?.note(
    skb,
    { ...site, chain: `conntrack/${hook}` },
    { actor: 'kernel', decision: { code: 'DROP' }, facts: [{ kind: 'drop', reason }] },
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
      return trackPacket(table, skb, { family, hook }) === 'accept' ? 'accept' : gone(ns, skb, hook)
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

/** nf_ct_netns_get(): switches connection tracking on for a family; again does nothing. */
export function enableConntrack(ns: Namespace, family: 4 | 6): ConntrackTable {
  const { netfilter } = ns
  const table = netfilter.conntrack ?? new ConntrackTable(ns)
  netfilter.conntrack = table
  if (table.active.has(family)) return table
  table.active.add(family)
  for (const hook of ['PREROUTING', 'OUTPUT'] as const) {
    if (family === 4)
      netfilter.register({ family, hook, priority: priority.conntrackDefrag, run: defragment })
    netfilter.register(trackEntry(table, family, hook))
  }
  for (const hook of ['INPUT', 'POSTROUTING'] as const) netfilter.register(confirmEntry(table, family, hook))
  return table
}
