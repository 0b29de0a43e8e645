// The Ethernet header of a bridged frame while IP hooks run: reassembly may give the packet new bytes without one.
import { readU48, writeU16, writeU48 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import type { Skb } from '../skb.ts'

/** Both addresses of a frame. */
export interface FrameHeader {
  readonly destination: number
  readonly source: number
}

/** The addresses of the frame; `skb.macHeader` must stand. */
export function readFrameHeader(skb: Skb): FrameHeader {
  const at = skb.macHeader
  return {
    destination: readU48(skb.bytes, at + ethernetAt.destination),
    source: readU48(skb.bytes, at + ethernetAt.source),
  }
}

/** Moves `data` back to the Ethernet header, which is written anew where the packet has lost it. */
export function writeFrameHeader(skb: Skb, header: FrameHeader): void {
  if (skb.macHeader >= 0) {
    skb.data = skb.macHeader
    return
  }
  skb.reserve(ethernetAt.payload)
  const at = skb.data - ethernetAt.payload
  writeU48(skb.bytes, at + ethernetAt.destination, header.destination)
  writeU48(skb.bytes, at + ethernetAt.source, header.source)
  writeU16(skb.bytes, at + ethernetAt.type, skb.protocol)
  skb.networkHeader = skb.data
  skb.data = at
  skb.macHeader = at
}
