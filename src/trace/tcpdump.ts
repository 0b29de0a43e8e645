// A trace as `tcpdump -i any -n` would print it: one line for each frame that a device receives or sends, with the time
// since the scenario began. Where the trace has the taps (level full), the taps are the moment, as they are in Linux.

import { formatIp, formatIpv4 } from '../net/address.ts'
import { arpOperation, decodeArp } from '../net/arp.ts'
import { readU8, readU16, readU32 } from '../net/bytes.ts'
import { icmpName } from '../net/icmp.ts'
import { icmpv6Name } from '../net/icmpv6.ts'
import { formatMac } from '../net/mac.ts'
import { isMalformed } from '../net/malformed.ts'
import { etherType, ipProtocol } from '../net/protocol.ts'
import { tcpAt } from '../net/tcp.ts'
import type { Endpoint } from './effects/change.ts'
import { endsOf } from './effects/compare.ts'
import { type Layers, layersOf } from './effects/layers.ts'
import type { HookEvent, Snapshot, Stage, Trace } from './event.ts'

/** The lines, in the order of time, each with its newline. */
export function traceToTcpdump(trace: Trace): string {
  const events = trace.packets.flatMap((packet) => packet.events)
  const taps = events.some(({ stage }) => stage === 'tap-in' || stage === 'tap-out')
  const [inward, outward]: readonly [Stage, Stage] = taps ? ['tap-in', 'tap-out'] : ['rx', 'tx']
  return events
    .filter(({ stage, actor }) => (stage === inward && (taps || actor === '')) || stage === outward)
    .sort((left, right) => left.time - right.time)
    .map((event) => `${lineOf(event, event.stage === inward ? 'In ' : 'Out')}\n`)
    .join('')
}

function lineOf(event: HookEvent, direction: 'In ' | 'Out'): string {
  const seconds = Math.floor(event.time / 1e9)
  const rest = `${Math.floor((event.time % 1e9) / 1000)}`.padStart(6, '0')
  return `${seconds}.${rest} ${event.node}/${event.device} ${direction} ${packetText(event.after)}`
}

/** A packet in tcpdump's words, without the time. */
function packetText(snapshot: Snapshot): string {
  const layers = layersOf(snapshot)
  const { bytes, family, etherType: type } = layers
  if (family !== 0) return ipText(layers)
  if (type === etherType.arp) {
    const arp = decodeArp(bytes, layers.l3)
    if (!isMalformed(arp)) {
      const length = `length ${bytes.length - layers.l3}`
      return arp.operation === arpOperation.request
        ? `ARP, Request who-has ${formatIpv4(arp.targetIp)} tell ${formatIpv4(arp.senderIp)}, ${length}`
        : `ARP, Reply ${formatIpv4(arp.senderIp)} is-at ${formatMac(arp.senderMac)}, ${length}`
    }
  }
  return `ethertype Unknown (0x${type.toString(16).padStart(4, '0')}), length ${bytes.length}`
}

function endText({ address, port }: Endpoint): string {
  return port < 0 ? formatIp(address) : `${formatIp(address)}.${port}`
}

function ipText(layers: Layers): string {
  const { source, destination } = endsOf(layers)
  const family = layers.family === 4 ? 'IP' : 'IP6'
  return `${family} ${endText(source)} > ${endText(destination)}: ${contentText(layers)}`
}

function contentText(layers: Layers): string {
  const { bytes, l4, payload, end, protocol } = layers
  if (l4 < 0) return `ip-proto-${protocol} ${end - payload}`
  switch (protocol) {
    case ipProtocol.tcp:
      return tcpText(layers)
    case ipProtocol.udp:
      return `UDP, length ${readU16(bytes, l4 + 4) - 8}`
    case ipProtocol.icmp:
      return icmpText(layers, 'ICMP', icmpName(readU8(bytes, l4), readU8(bytes, l4 + 1)))
    case ipProtocol.icmp6:
      return icmpText(layers, 'ICMP6', icmpv6Name(readU8(bytes, l4), readU8(bytes, l4 + 1)))
    default:
      return `ip-proto-${protocol} ${end - l4}`
  }
}

function icmpText({ bytes, l4, end }: Layers, family: 'ICMP' | 'ICMP6', name: string): string {
  const echo = name.startsWith('echo-')
  const numbers = echo ? `, id ${readU16(bytes, l4 + 4)}, seq ${readU16(bytes, l4 + 6)}` : ''
  return `${family} ${name.replaceAll('-', ' ')}${numbers}, length ${end - l4}`
}

/** tcpdump's letters and their order. */
const flagLetters = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W', 'e'] as const

function tcpText({ bytes, l4, payload, end }: Layers): string {
  const flags = readU16(bytes, l4 + tcpAt.dataOffset) & 0x1ff
  const letters = flagLetters.filter((_letter, bit) => ((flags >>> bit) & 1) === 1).join('')
  const length = end - payload
  const sequence = readU32(bytes, l4 + tcpAt.sequence)
  const range = length > 0 ? `${sequence}:${(sequence + length) >>> 0}` : `${sequence}`
  const numbered = length > 0 || (flags & 7) !== 0 ? `, seq ${range}` : ''
  const acknowledged = (flags & 16) !== 0 ? `, ack ${readU32(bytes, l4 + tcpAt.acknowledgement)}` : ''
  const window = readU16(bytes, l4 + tcpAt.window)
  return `Flags [${letters === '' ? 'none' : letters}]${numbered}${acknowledged}, win ${window}, length ${length}`
}
