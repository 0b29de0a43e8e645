// ARP requests answered by a program. lib/arp.h
import { writeU16 } from '../../net/bytes.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { ethernetBytes, loadSourceMac, storeMacs } from './ethernet.ts'

/** Offsets in an Ethernet frame with ARP for IPv4. */
const at = { hardware: 14, operation: 20, senderMac: 22, senderIp: 28, targetMac: 32, targetIp: 38 } as const
const arpBytes = 28
const request = 1
const reply = 2
const ethernetHardware = 1
const broadcast = 0xffff_ffff_ffff

/** A request: who asks, from which address, for which. */
export interface ArpRequest {
  readonly mac: Uint8Array
  readonly source: Uint8Array
  readonly target: Uint8Array
}

/** arp_validate(): the request, when it is one that came by broadcast or to `mac` (48 bits). */
export function arpRequest(ctx: Ctx, mac: number): ArpRequest | undefined {
  const { packet } = ctx
  if (!packet.has(0, ethernetBytes + arpBytes)) return undefined
  if (packet.u16(at.operation) !== request || packet.u16(at.hardware) !== ethernetHardware) return undefined
  const destination = packet.u48(0)
  if (destination !== broadcast && destination !== mac) return undefined
  const source = loadSourceMac(ctx)
  if (source === undefined) return undefined
  return { mac: source, source: packet.copy(at.senderIp, 4), target: packet.copy(at.targetIp, 4) }
}

/** arp_prepare_response(): turns the request into the reply that the target has `mac` (six bytes). 0 or a drop reason. */
export function prepareArpReply(ctx: Ctx, asked: ArpRequest, mac: Uint8Array): number {
  const failed = storeMacs(ctx, mac, asked.mac)
  if (failed !== 0) return failed
  const operation = new Uint8Array(2)
  writeU16(operation, 0, reply)
  const written =
    ctx.store(at.operation, operation) >= 0 &&
    ctx.store(at.senderMac, mac) >= 0 &&
    ctx.store(at.senderIp, asked.target) >= 0 &&
    ctx.store(at.targetMac, asked.mac) >= 0 &&
    ctx.store(at.targetIp, asked.source) >= 0
  return written ? 0 : drop.WRITE_ERROR
}
