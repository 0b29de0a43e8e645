// The four NAT hooks: nf_nat_inet_fn() and nf_nat_ipv4_*() of net/netfilter/nf_nat_proto.c. Rules are asked for the first
// packet of a flow; every packet is rewritten; errors are translated. Facts: linux 8.5, 8.7, 9.1.

import { readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Fact } from '../../trace/event.ts'
import { type Connection, connInfo, directionOf, tupleOf } from '../conntrack/connection.ts'
import { bindNull, isDecided, manipOf, natPacket } from '../conntrack/nat.ts'
import { isRelated, rewriteError } from '../conntrack/nat-rewrite.ts'
import { isIcmp } from '../conntrack/tuple.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { routeForward } from '../xfrm/check.ts'
import { chainPacket, type HookDevices } from './chain-packet.ts'
import { factsWanted, noteChain } from './chain-trace.ts'
import { evaluate } from './evaluate.ts'
import { type ActionVerdict, actionVerdict, type ChainPacket } from './extension.ts'
import { hookVerdict } from './filter-hook.ts'
import { type HookEntry, type HookName, type HookVerdict, placeOf, priority } from './hook.ts'
import { reroute } from './reroute.ts'

/** Somebody whose rules decide about new flows: table nat of iptables, a chain of type nat of nft. */
export interface NatClient {
  readonly priority: number
  readonly run: (packet: ChainPacket, facts: Fact[] | undefined) => ActionVerdict
}

/** Those of a namespace by family and hook, sorted by priority. */
export type NatClients = Readonly<Record<4 | 6, Map<HookName, NatClient[]>>>

/** The first rule set that speaks decides about a new flow; else a null binding. */
function decide(packet: ChainPacket, connection: Connection, facts: Fact[] | undefined): HookVerdict {
  const manip = manipOf(packet.hook)
  const { conntrack, nat } = packet.ns.netfilter
  if (conntrack === undefined) return 'accept'
  for (const client of nat?.[packet.family].get(packet.hook) ?? []) {
    const verdict = hookVerdict(client.run(packet, facts))
    if (verdict !== 'accept') return verdict
    if (isDecided(connection, manip)) return 'accept'
  }
  return bindNull(conntrack, connection, manip)
}

/** nf_nat_oif_changed(): a masqueraded flow that would leave by another device begins anew. */
function leavesElsewhere(packet: ChainPacket, connection: Connection): boolean {
  const { masqueradeIndex } = connection
  return (
    packet.hook === 'POSTROUTING' &&
    masqueradeIndex !== 0 &&
    directionOf(packet.skb.nfctInfo) === 0 &&
    masqueradeIndex !== packet.out?.ifindex
  )
}

/** nf_nat_inet_fn(). */
function translate(packet: ChainPacket, connection: Connection): HookVerdict {
  const { skb, hook } = packet
  const info = skb.nfctInfo
  const manip = manipOf(hook)
  const asks = info === connInfo.new || isRelated(skb)
  const facts = asks && !isDecided(connection, manip) ? factsWanted(packet) : undefined
  let verdict: HookVerdict = 'accept'
  if (asks && !isDecided(connection, manip)) {
    verdict = decide(packet, connection, facts)
  } else if (leavesElsewhere(packet, connection)) {
    packet.ns.netfilter.conntrack?.remove(connection)
    verdict = 'drop'
  }
  const changed = verdict === 'accept' && natPacket(connection, skb, manip)
  if (changed === 'drop') verdict = changed
  else if (changed) packet.changed = true
  noteChain(packet, 'nat', verdict, facts)
  return verdict
}

/** nf_nat_ipv4_fn(), nf_nat_ipv6_fn(): errors about flows are translated, other packets follow their flow. */
function natPacketAt(packet: ChainPacket, connection: Connection): HookVerdict {
  if (!isRelated(packet.skb) || !isIcmp(packet.protocol)) return translate(packet, connection)
  const result = rewriteError(packet.skb, connection, manipOf(packet.hook))
  packet.changed = result === 'changed'
  const verdict = result === 'drop' ? 'drop' : 'accept'
  noteChain(packet, 'nat', verdict, undefined)
  return verdict
}

function destinationIs(packet: ChainPacket, before: ReturnType<typeof destinationOf>): boolean {
  return sameIp(destinationOf(packet), before)
}

function destinationOf({
  skb,
  l3,
  family,
}: ChainPacket): ReturnType<typeof readIpv4> | ReturnType<typeof readIpv6> {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At.destination)
  return readIpv6(skb.bytes, l3 + ipv6At.destination)
}

/** nf_nat_ipv4_local_fn(): a flow whose destination was changed is routed again. */
function afterOutput(packet: ChainPacket, connection: Connection): HookVerdict {
  const direction = directionOf(packet.skb.nfctInfo)
  const towards = tupleOf(connection, direction).destination
  const real = tupleOf(connection, direction === 0 ? 1 : 0).source
  if (sameIp(towards, real)) return 'accept'
  const refused = reroute(packet.ns, packet.skb, packet.family)
  if (refused === undefined) return 'accept'
  noteChain(packet, 'nat', 'drop', undefined)
  return packet.ns.netfilter.dropWith(refused)
}

/** nf_nat_ipv4_out(), nf_xfrm_me_harder(): a flow whose source was changed may be one for another policy. */
function afterPostrouting(packet: ChainPacket, connection: Connection): HookVerdict {
  const { skb, ns, family } = packet
  const direction = directionOf(skb.nfctInfo)
  const from = tupleOf(connection, direction)
  const real = tupleOf(connection, direction === 0 ? 1 : 0)
  const samePort = isIcmp(from.protocol) || from.sport === real.dport
  if (skb.transformed || (sameIp(from.source, real.destination) && samePort)) return 'accept'
  const { route } = skb
  if (typeof route?.xfrm === 'object') skb.route = route.xfrm.route
  if (routeForward(ns, skb, family)) return 'accept'
  noteChain(packet, 'nat', 'drop', undefined)
  return 'drop'
}

function runNat(packet: ChainPacket): HookVerdict {
  const connection = packet.skb.nfct
  if (connection === undefined || connection.template) return 'accept'
  const before = packet.hook === 'PREROUTING' ? destinationOf(packet) : undefined
  const verdict = natPacketAt(packet, connection)
  if (verdict !== 'accept') return verdict
  if (before !== undefined && !destinationIs(packet, before)) packet.skb.route = undefined
  if (packet.hook === 'POSTROUTING' && packet.ns.xfrm !== undefined)
    return afterPostrouting(packet, connection)
  return packet.hook === 'OUTPUT' ? afterOutput(packet, connection) : verdict
}

function natPriority(hook: HookName): number {
  return manipOf(hook) === 'destination' ? priority.natDestination : priority.natSource
}

/** The hook function of one NAT hook, whoever has rules there. */
function natEntry(family: 4 | 6, hook: HookName): HookEntry {
  const at = { family, hook }
  return {
    family,
    hook,
    priority: natPriority(hook),
    run: (ns: Namespace, skb: Skb, devices: HookDevices): HookVerdict => {
      if (skb.nfct === undefined) return 'accept'
      return runNat(chainPacket(ns, at, skb, devices))
    },
  }
}

const natHooks: readonly HookName[] = ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']

/** nf_nat_register_fn(): the first client of a family brings the four NAT hooks with it. What is answered takes it away. */
export function registerNatClient(
  ns: Namespace,
  family: 4 | 6,
  hook: HookName,
  client: NatClient,
): () => void {
  const clients: NatClients = ns.netfilter.nat ?? { 4: new Map(), 6: new Map() }
  ns.netfilter.nat = clients
  if (clients[family].size === 0) for (const each of natHooks) ns.netfilter.register(natEntry(family, each))
  const list = clients[family].get(hook) ?? []
  list.splice(placeOf(list, client.priority), 0, client)
  clients[family].set(hook, list)
  return () => {
    list.splice(list.indexOf(client), 1)
  }
}

/** The client that table nat of iptables is at one of its chains. */
export function iptablesNat(family: 4 | 6, hook: HookName): NatClient {
  return {
    priority: natPriority(hook),
    run: (packet, facts) => {
      const chain = packet.ns.netfilter.tables?.[family].get('nat')?.chains.get(hook)
      return chain === undefined ? actionVerdict.accept : evaluate(chain, packet, facts)
    },
  }
}
