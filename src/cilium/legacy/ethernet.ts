// Which frames Cilium 1.10 takes for Ethernet II. bpf/lib/common.h validate_ethertype()
import type { Ctx } from '../datapath/ctx.ts'
import { ethernetBytes } from '../datapath/ethernet.ts'
import { ethernetLength } from '../datapath/headers.ts'

const typeAt = 12
/** ETH_P_802_3_MIN: below it the field is the length of an IEEE 802.3 frame. */
const firstEtherType = 0x0600

/**
 * validate_ethertype(): the packet's ethertype, or undefined where it is too short or no Ethernet II. Unlike 1.19, which compares
 * in network order, every length is told from a type.
 */
export function validEtherType(ctx: Ctx): number | undefined {
  if (ethernetLength(ctx) === 0) return ctx.protocol
  if (!ctx.packet.has(0, ethernetBytes)) return undefined
  const etherType = ctx.packet.u16(typeAt)
  return etherType >= firstEtherType ? etherType : undefined
}
