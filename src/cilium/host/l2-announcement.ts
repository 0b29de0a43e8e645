// Answers to ARP and neighbour solicitations for service addresses that this node announces. lib/l2_responder.h
import { writeLe32 } from '../../bpf/context/byte-order.ts'
import { arpRequest, prepareArpReply } from '../datapath/arp.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { macBytesOf } from '../datapath/ethernet.ts'
import { type Address, ipv6, protocolNumber } from '../datapath/family.ts'
import { isL3Device } from '../datapath/fib.ts'
import { ethernetLength, walkHeaders } from '../datapath/headers.ts'
import { ndpType, sendAdvertisement } from '../datapath/icmp6-ndp.ts'
import { redirectSelf } from '../datapath/icmp6-reply.ts'
import { readLe64, writeLe64 } from '../maps/ct-entry.ts'

/** RUNTIME_CONFIG_AGENT_LIVENESS: when the agent was last seen alive, in nanoseconds. */
const agentLiveness = 1
const icmpBytes = 8
/** 33:33:ff and the last three bytes of the address: where solicitations for it are sent. */
const solicitedPrefix = [0x33, 0x33, 0xff] as const

/** Without an agent for some time other nodes have taken over. */
function isAgentAlive(ctx: Ctx): boolean {
  const key = new Uint8Array(4)
  writeLe32(key, 0, agentLiveness)
  const value = ctx.lookup(ctx.maps.cilium_runtime_config, key)
  const seen = value === undefined ? 0 : readLe64(value, 0)
  return seen !== 0 && ctx.nowNs() - seen <= ctx.node.l2_announcements_max_liveness
}

/** The number of answers for an address on this device; undefined where it is not announced. */
function statistics(ctx: Ctx, address: Address): Uint8Array | undefined {
  const four = address.length === 4
  const key = new Uint8Array(four ? 8 : 24)
  key.set(address)
  writeLe32(key, address.length, ctx.ingressIfindex)
  return ctx.lookup(four ? ctx.maps.cilium_l2_responder_v4 : ctx.maps.cilium_l2_responder_v6, key)
}

/** CTX_ACT_OK where there is nothing to answer, a redirect, or a drop reason. */
function counted(ctx: Ctx, entry: Uint8Array, result: number): number {
  if (result === ctx.act.REDIRECT) writeLe64(entry, 0, readLe64(entry, 0) + 1)
  return result
}

/** handle_l2_announcement() for ARP. */
export function announceArp(ctx: Ctx): number {
  if (isL3Device(ctx) || !isAgentAlive(ctx)) return ctx.act.OK
  const mac = ctx.object.interface_mac
  const asked = arpRequest(ctx, mac)
  if (asked === undefined) return ctx.act.OK
  const entry = statistics(ctx, asked.target)
  if (entry === undefined) return ctx.act.OK
  const failed = prepareArpReply(ctx, asked, macBytesOf(mac))
  return failed === 0 ? counted(ctx, entry, redirectSelf(ctx)) : failed
}

/** icmp6_ndisc_validate(): the address that a solicitation asks for. */
function solicitedAddress(ctx: Ctx, l3Offset: number): Address | undefined {
  const { packet } = ctx
  const walk = walkHeaders(ctx, ipv6, l3Offset)
  if (typeof walk === 'number' || walk.nexthdr !== protocolNumber.ICMPV6) return undefined
  const icmp = l3Offset + walk.length
  if (!packet.has(icmp, icmpBytes + ipv6.addressBytes)) return undefined
  if (packet.u8(icmp) !== ndpType.NEIGHBOUR_SOLICITATION) return undefined
  const address = packet.copy(icmp + icmpBytes, ipv6.addressBytes)
  const group = [...solicitedPrefix, ...address.subarray(13)]
  const toGroup = group.every((byte, at) => packet.u8(at) === byte)
  return toGroup || packet.u48(0) === ctx.object.interface_mac ? address : undefined
}

/** handle_l2_announcement() for ICMPv6. */
export function announceNeighbour(ctx: Ctx): number {
  if (isL3Device(ctx) || !isAgentAlive(ctx)) return ctx.act.OK
  const l3Offset = ethernetLength(ctx)
  const address = solicitedAddress(ctx, l3Offset)
  const entry = address === undefined ? undefined : statistics(ctx, address)
  if (entry === undefined) return ctx.act.OK
  return counted(ctx, entry, sendAdvertisement(ctx, l3Offset, macBytesOf(ctx.object.interface_mac), false))
}
