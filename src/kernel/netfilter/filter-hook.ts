// Tables other than nat as hook functions (iptable_raw, iptable_mangle, iptable_filter, iptable_security). mangle/OUTPUT
// routes the packet again when it changed what routing looks at.
import { readU8, readU32 } from '../../net/bytes.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { chainPacket, type HookDevices } from './chain-packet.ts'
import { type ChainPlace, factsWanted, noteAt, noteChain } from './chain-trace.ts'
import { evaluate } from './evaluate.ts'
import { type ActionVerdict, actionVerdict, type ChainPacket } from './extension.ts'
import { type HookEntry, type HookName, type HookVerdict, priority } from './hook.ts'
import { reroute } from './reroute.ts'
import type { TableName } from './ruleset.ts'

/** A target's word as the hook's. */
export function hookVerdict(verdict: ActionVerdict): HookVerdict {
  if (verdict === actionVerdict.drop) return 'drop'
  return verdict === actionVerdict.stolen ? 'stolen' : 'accept'
}

/** Runs a packet through one built-in chain and writes its event. */
export function runChain(packet: ChainPacket, table: TableName): HookVerdict {
  const chain = packet.ns.netfilter.tables?.[packet.family].get(table)?.chains.get(packet.hook)
  if (chain === undefined) return 'accept'
  const facts = factsWanted(packet)
  const verdict = hookVerdict(evaluate(chain, packet, facts))
  noteChain(packet, table, verdict, facts)
  return verdict
}

/** What a route depends on: addresses, TOS, mark (ipt_mangle_out). */
function routingKey(packet: ChainPacket): number[] {
  const { bytes } = packet.skb
  const { l3, family } = packet
  if (family === 4) {
    const source = readU32(bytes, l3 + ipv4At.source)
    const destination = readU32(bytes, l3 + ipv4At.destination)
    return [packet.skb.mark, source, destination, readU8(bytes, l3 + ipv4At.tos)]
  }
  const key = [packet.skb.mark, readU32(bytes, l3), readU8(bytes, l3 + ipv6At.hopLimit)]
  for (let at = ipv6At.source; at < ipv6At.payload; at += 4) key.push(readU32(bytes, l3 + at))
  return key
}

/** Runs a chain at OUTPUT after which a packet is routed again, if what routing looks at was changed (ipt_mangle_out). */
export function withReroute(
  packet: ChainPacket,
  place: ChainPlace,
  run: (packet: ChainPacket) => HookVerdict,
): HookVerdict {
  const before = routingKey(packet)
  const verdict = run(packet)
  if (verdict !== 'accept' || !packet.changed) return verdict
  const after = routingKey(packet)
  if (before.every((word, at) => word === after[at])) return verdict
  const refused = reroute(packet.ns, packet.skb, packet.family)
  if (refused === undefined) return verdict
  noteAt(packet, place, 'drop', undefined)
  return packet.ns.netfilter.dropWith(refused)
}

const mangleOutput: ChainPlace = { chain: 'mangle/OUTPUT', early: false }
const runMangle = (packet: ChainPacket): HookVerdict => runChain(packet, 'mangle')

/** The hook function of one chain of raw, mangle, filter or security. */
export function chainEntry(family: 4 | 6, hook: HookName, table: Exclude<TableName, 'nat'>): HookEntry {
  const at = { family, hook }
  const reroutes = table === 'mangle' && hook === 'OUTPUT'
  return {
    family,
    hook,
    priority: priority[table],
    run: (ns: Namespace, skb: Skb, devices: HookDevices): HookVerdict => {
      const packet = chainPacket(ns, at, skb, devices)
      return reroutes ? withReroute(packet, mangleOutput, runMangle) : runChain(packet, table)
    },
  }
}
