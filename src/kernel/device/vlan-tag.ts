// 802.1Q tags between the frame and the fields beside it (skb_vlan_untag, __vlan_hwaccel_push_inside).
import { readU16, writeU16 } from '../../net/bytes.ts'
import { isVlanType } from '../../net/protocol.ts'
import type { Skb } from '../skb.ts'

/** Both MAC addresses: a tag stands behind them. */
const tagOffset = 12
const tagBytes = 4

/** Writes the tag beside the packet into the frame; nothing without one. */
export function insertTag(skb: Skb): void {
  if (skb.vlanTci < 0) return
  skb.resizeAt(tagOffset, tagBytes)
  writeU16(skb.bytes, skb.start + tagOffset, skb.vlanProtocol)
  writeU16(skb.bytes, skb.start + tagOffset + 2, skb.vlanTci)
  skb.vlanTci = -1
}

/** Takes the outer tag out of the frame and keeps it beside it. False when the frame is too short for one. */
export function takeTag(skb: Skb): boolean {
  const start = skb.start
  const type = readU16(skb.bytes, start + tagOffset)
  if (!isVlanType(type)) return true
  if (skb.tail - start < tagOffset + tagBytes + 2) return false
  skb.vlanProtocol = type
  skb.vlanTci = readU16(skb.bytes, start + tagOffset + 2)
  skb.resizeAt(tagOffset, -tagBytes)
  skb.protocol = readU16(skb.bytes, skb.start + tagOffset)
  skb.networkHeader = skb.start + tagOffset + 2
  return true
}
