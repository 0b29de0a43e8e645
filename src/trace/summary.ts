// A packet in one line: `tcp client:40000 > server:80 S ttl 64`. Enters: a snapshot; leaves: the words behind the packet's
// name in a trace: those of `summarise`, with names, variables, the tags beside the packet, and the length of what is sent.
import { readU8, readU16 } from '../net/bytes.ts'
import { isIcmpEcho } from '../net/icmp.ts'
import { isIcmpv6Echo } from '../net/icmpv6.ts'
import { type Dissection, transportLayerAt } from '../net/layer.ts'
import { summarise } from '../net/summarise.ts'
import { dissectSnapshot } from './effects/layers.ts'
import type { Snapshot } from './event.ts'
import type { Names } from './names.ts'

/** The words for a packet. Names are asked from `names`, and count as used. */
export function summaryOf(snapshot: Snapshot, names: Names): string {
  const dissection = dissectSnapshot(snapshot)
  const text = names.withVariables(summarise(dissection, names))
  const tag = tagText(snapshot, dissection)
  const { start, end } = dissection.payload
  if (start === end || !carriesPayload(dissection)) return text + tag
  // before the TTL, which stands last and often changes
  const at = text.lastIndexOf(' ttl ')
  const length = ` len ${end - start}`
  return at < 0 ? text + length + tag : `${text.slice(0, at)}${length}${text.slice(at)}${tag}`
}

/** ` vlan 5` for each tag, whether it stands beside the packet or in the frame. */
function tagText({ vlanTci }: Snapshot, { bytes, layers }: Dissection): string {
  let text = vlanTci >= 0 ? ` vlan ${vlanTci & 0xfff}` : ''
  for (const { kind, depth, start } of layers) {
    if (kind === 'vlan' && depth === 0) text += ` vlan ${readU16(bytes, start) & 0xfff}`
  }
  return text
}

/** Whether the bytes behind the headers are somebody's data; an ICMP error only quotes. */
function carriesPayload(dissection: Dissection): boolean {
  const { bytes, depth } = dissection
  const transport = transportLayerAt(dissection, depth)
  switch (transport?.kind) {
    case 'tcp':
    case 'udp':
      return true
    case 'icmp':
      return isIcmpEcho(readU8(bytes, transport.start))
    case 'icmp6':
      return isIcmpv6Echo(readU8(bytes, transport.start))
    default:
      return false
  }
}
