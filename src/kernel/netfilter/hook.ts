// Netfilter's five hooks as stages: who is registered runs in the order of priorities. Tables, chains and rules
// (iptables, nftables, conntrack) are clients that register here.
import type { ConntrackTable } from '../conntrack/table.ts'
import type { NetDevice } from '../device/device.ts'
import type { Ipvs } from '../ipvs/service.ts'
import type { Namespace } from '../namespace.ts'
import type { BoundTable } from '../nftables/bound.ts'
import type { Skb } from '../skb.ts'
import { type Errno, errnoNumber } from '../socket/errno.ts'
import type { BoundTables } from './bound.ts'
import type { NatClients } from './nat-hook.ts'
import type { SetTable } from './set/set-table.ts'

export type HookName = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING'

/** include/uapi/linux/netfilter_ipv4.h NF_IP_PRI_*. */
export const priority = {
  conntrackDefrag: -400,
  raw: -300,
  conntrack: -200,
  mangle: -150,
  natDestination: -100,
  filter: 0,
  security: 50,
  natSource: 100,
  conntrackHelper: 300,
  conntrackConfirm: 2_147_483_647,
} as const

/** NF_ACCEPT goes on, NF_DROP ends the packet (with a reason), NF_STOLEN keeps it. */
export type HookVerdict = 'accept' | 'drop' | 'stolen'

/** One registered function. It may change the packet; `drop` callers record the reason themselves through the trace. */
export interface HookEntry {
  readonly family: 4 | 6
  readonly hook: HookName
  readonly priority: number
  readonly run: (
    ns: Namespace,
    skb: Skb,
    devices: { readonly in: NetDevice | undefined; readonly out: NetDevice | undefined },
  ) => HookVerdict
}

/**
 * Where an entry belongs among others that are sorted by priority: of equal ones the last to come is the first to run
 * (nf_hook_entries_grow()).
 */
export function placeOf(list: readonly { readonly priority: number }[], wanted: number): number {
  const at = list.findIndex((other) => other.priority >= wanted)
  return at === -1 ? list.length : at
}

/** The hook functions of one namespace, kept sorted by priority. */
export class NetfilterHooks {
  /** The namespace's flows; undefined until a rule needs them (facts: linux 4.8). */
  conntrack: ConntrackTable | undefined
  /** What is on while somebody needs it, by name and family (nf_ct_netns_get(), nf_defrag_ipv4_enable()). */
  private readonly shared = new Map<
    string,
    { readonly users: Set<string>; readonly entries: readonly HookEntry[] }
  >()
  /** The tables of iptables and ip6tables that have rules. */
  tables: { readonly 4: BoundTables; readonly 6: BoundTables } | undefined
  /** The tables of nft, in the order in which they were made. */
  nftables: readonly BoundTable[] | undefined
  /** The last handle given to one of them (nft_net->table_handle). */
  nftHandles = 0
  /** Who is asked about new flows at the NAT hooks. */
  nat: NatClients | undefined
  /** IPVS; undefined until there is a virtual service. */
  ipvs: Ipvs | undefined
  /** Rules of iptables, ip6tables and nft that packets were held against, as the kernel goes through them: one by one. */
  rulesEvaluated = 0
  /** ipsets, by name. */
  sets: SetTable | undefined
  private readonly lists = new Map<number, HookEntry[]>()
  /** What the sender of the packet that was dropped last is told (NF_DROP_ERR()). */
  private told: Errno | undefined

  /**
   * Adds a function; what is answered takes it away again. A list that is being run keeps its form: changes count from the
   * next packet on.
   */
  register(entry: HookEntry): () => void {
    const key = hookKey(entry.family, entry.hook)
    const list = [...(this.lists.get(key) ?? [])]
    list.splice(placeOf(list, entry.priority), 0, entry)
    this.lists.set(key, list)
    return () => this.unregister(entry)
  }

  private unregister(entry: HookEntry): void {
    const key = hookKey(entry.family, entry.hook)
    const rest = (this.lists.get(key) ?? []).filter((other) => other !== entry)
    if (rest.length === 0) this.lists.delete(key)
    else this.lists.set(key, rest)
  }

  /** Switches functions on for a user, once for all users; true for the first one. */
  acquire(name: string, user: string, make: () => readonly HookEntry[]): boolean {
    const known = this.shared.get(name)
    if (known !== undefined) {
      known.users.add(user)
      return false
    }
    const entries = make()
    for (const entry of entries) this.register(entry)
    this.shared.set(name, { users: new Set([user]), entries })
    return true
  }

  /** The user needs them no more; true when it was the last one, and they are gone. */
  release(name: string, user: string): boolean {
    const known = this.shared.get(name)
    if (known === undefined || !known.users.delete(user) || known.users.size > 0) return false
    for (const entry of known.entries) this.unregister(entry)
    this.shared.delete(name)
    return true
  }

  /** NF_DROP_ERR(): a hook function drops a packet, and says why. */
  dropWith(errno: Errno): HookVerdict {
    this.told = errno
    return 'drop'
  }

  /** What ends a packet that a hook did not accept, as its sender sees it: 0 (stolen), -EPERM, or what `dropWith` said. */
  outcome(verdict: HookVerdict): number {
    if (verdict !== 'drop') return 0
    const errno = this.told ?? 'EPERM'
    this.told = undefined
    return -errnoNumber[errno]
  }

  /** Runs a hook (nf_hook_slow); the packet goes on only when the answer is `accept`. */
  run(
    ns: Namespace,
    at: { readonly family: 4 | 6; readonly hook: HookName },
    skb: Skb,
    devices: { readonly in: NetDevice | undefined; readonly out: NetDevice | undefined },
  ): HookVerdict {
    const list = this.lists.get(hookKey(at.family, at.hook))
    if (list === undefined) return 'accept'
    if (this.told !== undefined) this.told = undefined
    for (const entry of list) {
      const verdict = entry.run(ns, skb, devices)
      if (verdict !== 'accept') return verdict
    }
    return 'accept'
  }
}

const hookNumber: Readonly<Record<HookName, number>> = {
  PREROUTING: 0,
  INPUT: 1,
  FORWARD: 2,
  OUTPUT: 3,
  POSTROUTING: 4,
}

function hookKey(family: 4 | 6, hook: HookName): number {
  return family * 8 + hookNumber[hook]
}
