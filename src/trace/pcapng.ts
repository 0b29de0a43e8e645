// A trace as a capture file for Wireshark and tshark. Before changing this file, read draft-ietf-opsawg-pcapng (Section
// Header Block 4.1, Interface Description Block 4.2, Enhanced Packet Block 4.3). One interface for each device, one
// packet for each hook line, with that line and its effects as the packet's comment and the virtual time in nanoseconds.
import { concatBytes } from '../net/bytes.ts'
import { isBareArp } from './effects/layers.ts'
import type { HookEvent, Trace } from './event.ts'
import { frameOf } from './frame.ts'
import { type FormatOptions, type ShownHook, shownPackets } from './section-of.ts'

const block = { section: 0x0a0d0d0a, interface: 1, packet: 6 } as const
const option = { end: 0, comment: 1, interfaceName: 2, flags: 2, application: 4, timeResolution: 9 } as const
/** LINKTYPE_ETHERNET, and LINKTYPE_RAW for packets that have no Ethernet header yet. */
const linkType = { ethernet: 1, ip: 101 } as const
const direction = { inbound: 1, outbound: 2 } as const

/** Numbers in a pcapng file stand in the order of the machine that wrote it: here little endian. */
function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  values.forEach((value, index) => {
    view.setUint32(index * 4, value, true)
  })
  return bytes
}

function halfWords(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 2)
  const view = new DataView(bytes.buffer)
  values.forEach((value, index) => {
    view.setUint16(index * 2, value, true)
  })
  return bytes
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = -bytes.length & 3
  return rest === 0 ? bytes : concatBytes([bytes, new Uint8Array(rest)])
}

const encoder = new TextEncoder()

function optionOf(code: number, value: Uint8Array): Uint8Array {
  return concatBytes([halfWords(code, value.length), padded(value)])
}

function textOption(code: number, text: string): Uint8Array {
  // the length of an option is 16 bits
  return optionOf(code, encoder.encode(text).subarray(0, 0xffff))
}

function blockOf(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(parts)
  const length = body.length + 12
  return concatBytes([words(type, length), body, words(length)])
}

const endOfOptions = halfWords(option.end, 0)

function sectionHeader(): Uint8Array {
  const unknownLength = words(0xffff_ffff, 0xffff_ffff)
  return blockOf(block.section, [
    words(0x1a2b3c4d),
    halfWords(1, 0),
    unknownLength,
    textOption(option.application, 'scn'),
    endOfOptions,
  ])
}

function interfaceBlock(name: string, type: number): Uint8Array {
  return blockOf(block.interface, [
    halfWords(type, 0),
    words(0),
    textOption(option.interfaceName, name),
    optionOf(option.timeResolution, Uint8Array.of(9)),
    endOfOptions,
  ])
}

function directionOf(event: HookEvent): number {
  switch (event.stage) {
    case 'tc-out':
    case 'netkit-primary':
    case 'qdisc':
    case 'tap-out':
    case 'tx':
    case 'xmit':
      return direction.outbound
    default:
      return direction.inbound
  }
}

function packetBlock(index: number, { event, hook }: ShownHook, name: string): Uint8Array {
  const frame = frameOf(event.after)
  const high = Math.floor(event.time / 0x1_0000_0000)
  const comment = [`${name} @ ${hook.node}`, hook.line, ...hook.effects.map((effect) => `  ${effect}`)].join(
    '\n',
  )
  return blockOf(block.packet, [
    words(index, high, event.time % 0x1_0000_0000, frame.length, frame.length),
    padded(frame),
    textOption(option.comment, comment),
    optionOf(option.flags, words(directionOf(event))),
    endOfOptions,
  ])
}

/** The bytes of a capture file with all hook lines that stand on a device, in the order of time. */
export function traceToPcapng(trace: Trace, options: FormatOptions = { level: 'hops' }): Uint8Array {
  const shown = shownPackets(trace, options)
    .flatMap(({ packet, hooks }) => hooks.map((each) => ({ ...each, name: packet.name })))
    // a capture has no link type for an ARP message without its frame
    .filter(({ event }) => event.device !== '' && !isBareArp(event.after))
    .sort((left, right) => left.event.time - right.event.time)
  const interfaces = new Map<string, number>()
  const headers: Uint8Array[] = [sectionHeader()]
  const packets: Uint8Array[] = []
  for (const each of shown) {
    const { node, device, after } = each.event
    const name = after.start === 'ip' ? `${node}/${device} (ip)` : `${node}/${device}`
    let index = interfaces.get(name)
    if (index === undefined) {
      index = interfaces.size
      interfaces.set(name, index)
      headers.push(interfaceBlock(name, linkType[after.start]))
    }
    packets.push(packetBlock(index, each, each.name))
  }
  return concatBytes([...headers, ...packets])
}
