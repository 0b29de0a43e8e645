// bpf_skb_vlan_push and bpf_skb_vlan_pop. The outermost tag lies beside the packet (hardware acceleration), further
// ones in its bytes. net/core/skbuff.c skb_vlan_push(), skb_vlan_pop()
import { readU16, writeU16 } from '../../net/bytes.ts'
import { swap16 } from '../context/byte-order.ts'
import type { RunContext, SkbView } from '../contract.ts'
import { errno } from '../errno.ts'
import { etherType, skbLength, skbOf } from './subject.ts'

const tagBytes = 4
const macAddressesBytes = 12
const taggedBytes = 18

function isVlan(protocol: number): boolean {
  return protocol === etherType.vlan || protocol === etherType.vlanAd
}

/** Puts the tag beside the packet into its bytes: __vlan_insert_tag(). */
function insertTag(skb: SkbView): void {
  skb.resizeAt(macAddressesBytes, tagBytes)
  const at = skb.start + macAddressesBytes
  writeU16(skb.bytes, at, skb.vlanProtocol)
  writeU16(skb.bytes, at + 2, skb.vlanTci)
  skb.protocol = skb.vlanProtocol
}

/** Takes the first tag out of the bytes: __skb_vlan_pop(). The TCI, or -1 for a packet that is too short. */
function removeTag(skb: SkbView): number {
  if (skbLength(skb) < taggedBytes) return -1
  const at = skb.start + macAddressesBytes
  const tci = readU16(skb.bytes, at + 2)
  skb.protocol = readU16(skb.bytes, at + tagBytes)
  skb.resizeAt(macAddressesBytes, -tagBytes)
  return tci
}

/** `protocol` is big endian, as in C; anything but 802.1AD means 802.1Q. `tci` is a host number. Always 0. */
export function skbVlanPush(context: RunContext, protocol: number, tci: number): number {
  const skb = skbOf(context)
  if (skb.vlanTci >= 0) insertTag(skb)
  skb.vlanProtocol = swap16(protocol) === etherType.vlanAd ? etherType.vlanAd : etherType.vlan
  skb.vlanTci = tci & 0xffff
  return 0
}

/** Removes the outermost tag; an untagged packet stays as it is. 0, or -ENOMEM for a tag that is cut off. */
export function skbVlanPop(context: RunContext): number {
  const skb = skbOf(context)
  if (skb.vlanTci >= 0) {
    skb.vlanTci = -1
  } else {
    if (!isVlan(skb.protocol)) return 0
    if (removeTag(skb) < 0) return -errno.ENOMEM
  }
  if (!isVlan(skb.protocol)) return 0
  const { protocol } = skb
  const tci = removeTag(skb)
  if (tci < 0) return -errno.ENOMEM
  skb.vlanTci = tci
  skb.vlanProtocol = protocol
  return 0
}
