// Frames in the form in which model and kernel are compared: what a kernel chooses freely is zeroed or numbered, and a
// checksum is only told to be right or wrong. Everything else counts, byte by byte.

import { readU16, readU32, writeU16, writeU32 } from '../net/bytes.ts'
import { foldSum, sumWords } from '../net/checksum.ts'
import { etherType, ipProtocol as protocol } from '../net/protocol.ts'
import { isVxlan, isVxlanPort, TunnelPorts } from './tunnel-ports.ts'

/** What stands in a checksum field: right, wrong, or absent (UDP over IPv4 may have none). */
const mark = { right: 0x0000, wrong: 0xbad0, none: 0x0e0e } as const
/** ND redirect; its options begin 40 bytes behind. */
const redirectType = 137
/** RST and ACK. */
const resetOfSyn = 0x14
const windowBytes = 1 << 20
const numberStep = 100_000_000
const sackOption = 5
const timestampsOption = 8
/** Bytes that a header in a moved frame may stand behind its start. */
const movedMost = 64

/** Remembers the initial sequence numbers of one side in the order in which they appear. */
export class Canonical {
  private readonly starts: number[] = []
  private readonly tunnelPorts = new TunnelPorts()
  /** Ports that NAT drew, and what they are shown as. */
  private readonly ports: ReadonlyMap<number, number>

  constructor(ports: ReadonlyMap<number, number> = new Map()) {
    this.ports = ports
  }

  /** A copy of the frame in canonical form. */
  frame(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice()
    this.ethernet(copy, 0)
    return copy
  }

  private ethernet(bytes: Uint8Array, start: number): void {
    let at = start + 14
    if (bytes.length < at) return
    let type = readU16(bytes, at - 2)
    while ((type === etherType.vlan || type === etherType.qinq) && bytes.length >= at + 4) {
      type = readU16(bytes, at + 2)
      at += 4
    }
    if (type === etherType.arp) return
    if (type === etherType.ipv4 && isIpv4Header(bytes, at)) this.ipv4(bytes, at, 'whole')
    else if (type === etherType.ipv4 && bytes.length < at + 20) cutHeader(bytes, at)
    else if (type === etherType.ipv6 && isIpv6Header(bytes, at)) this.ipv6(bytes, at, 'whole')
    else this.moved(bytes, start)
  }

  /** A program has moved the start of the frame, or made a hole behind the Ethernet header: the IP header stands elsewhere. */
  private moved(bytes: Uint8Array, start: number): void {
    for (let at = start; at < start + movedMost; at += 2) {
      if (isIpv4Header(bytes, at) && standsHere4(bytes, at)) return this.ipv4(bytes, at, 'whole')
      if (isIpv6Header(bytes, at) && standsHere6(bytes, at)) return this.ipv6(bytes, at, 'whole')
    }
  }

  /** Inner parts first: sums are judged on the bytes as they came, and marked when everything inside is done. */
  private ipv4(bytes: Uint8Array, at: number, what: 'whole' | 'quoted'): void {
    if (!isIpv4Header(bytes, at)) return
    const header = ((bytes[at] as number) & 15) * 4
    const end = Math.min(bytes.length, at + readU16(bytes, at + 2))
    if (header < 20 || at + header > end) return
    const right = foldSum(sumWords(bytes, at, at + header)) === 0xffff
    const fragment = (readU16(bytes, at + 6) & 0x3fff) !== 0
    const pseudo = sumWords(bytes, at + 12, at + 20)
    const first = (readU16(bytes, at + 6) & 0x1fff) === 0
    const number = bytes[at + 9] as number
    this.transport(bytes, { at: at + header, end, protocol: number, pseudo, fragment, first, what })
    writeU16(bytes, at + 4, 0)
    writeU16(bytes, at + 10, right ? mark.right : mark.wrong)
  }

  private ipv6(bytes: Uint8Array, at: number, what: 'whole' | 'quoted'): void {
    if (!isIpv6Header(bytes, at)) return
    const end = Math.min(bytes.length, at + 40 + readU16(bytes, at + 4))
    const pseudo = sumWords(bytes, at + 8, at + 40)
    writeU32(bytes, at, (readU32(bytes, at) & 0xfff0_0000) >>> 0) // the flow label
    let next = bytes[at + 6] as number
    let position = at + 40
    let fragment = false
    let first = true
    while ([0, 43, 44, 60].includes(next) && position + 8 <= end) {
      if (next === 44) {
        fragment = true
        first = (readU16(bytes, position + 2) & 0xfff8) === 0
        writeU32(bytes, position + 4, 0)
      }
      const length = next === 44 ? 8 : ((bytes[position + 1] as number) + 1) * 8
      next = bytes[position] as number
      position += length
    }
    this.transport(bytes, { at: position, end, protocol: next, pseudo, fragment, first, what })
  }

  private transport(bytes: Uint8Array, part: Part): void {
    const { at, end } = part
    const field = checksumField(part.protocol)
    if (field === undefined) return
    if (part.fragment) return this.fragment(bytes, part)
    if (at + field + 2 > end) {
      this.rename(bytes, part)
      if (part.protocol === protocol.tcp) this.tcp(bytes, at, end)
      return
    }
    const judged = part.what === 'quoted' ? 'right' : judge(bytes, part, field)
    this.rename(bytes, part)
    if (part.protocol === protocol.tcp) this.tcp(bytes, at, end)
    else if (part.protocol === protocol.udp) this.udp(bytes, at, end)
    else if (part.protocol === protocol.icmp && isError4(bytes[at] as number))
      this.ipv4(bytes, at + 8, 'quoted')
    else if (part.protocol === protocol.icmp6 && (bytes[at] as number) < 128)
      this.ipv6(bytes, at + 8, 'quoted')
    else if (part.protocol === protocol.icmp6 && bytes[at] === redirectType) this.redirect(bytes, at, end)
    writeU16(bytes, at + field, mark[judged])
  }

  /** The option of a redirect that quotes a packet. */
  private redirect(bytes: Uint8Array, at: number, end: number): void {
    for (let option = at + 40; option + 8 <= end; ) {
      if (bytes[option] === 4) this.ipv6(bytes, option + 8, 'quoted')
      option += Math.max(1, bytes[option + 1] as number) * 8
    }
  }

  /** Ports, and the identifiers of echoes, that NAT drew. */
  private rename(bytes: Uint8Array, { at, end, protocol: number }: Part): void {
    if (this.ports.size === 0) return
    const icmp = number === protocol.icmp || number === protocol.icmp6
    if (icmp && ![0, 8, 128, 129].includes(bytes[at] as number)) return
    for (const field of icmp ? [at + 4] : [at, at + 2]) {
      const shown = field + 2 > end ? undefined : this.ports.get(readU16(bytes, field))
      if (shown !== undefined) writeU16(bytes, field, shown)
    }
  }

  /** The sum covers what other frames hold; only the first fragment of a tunnel's datagram has a port to forget. */
  private fragment(bytes: Uint8Array, { at, end, protocol: number, first }: Part): void {
    if (number !== protocol.udp || !first || !isVxlanPort(readU16(bytes, at + 2))) return
    writeU16(bytes, at + 6, 0)
    this.udp(bytes, at, end)
  }

  private tcp(bytes: Uint8Array, at: number, end: number): void {
    if (at + 8 > end) return
    const flags = at + 14 <= end ? (bytes[at + 13] as number) : 0
    const sequence = readU32(bytes, at + 4)
    if ((flags & 2) !== 0 && !this.starts.some((start) => start === sequence)) this.starts.push(sequence)
    if (at + 12 <= end && (flags & resetOfSyn) === resetOfSyn && sequence === 0)
      this.answered(readU32(bytes, at + 8))
    writeU32(bytes, at + 4, this.number(sequence))
    if (at + 12 <= end && (flags & 16) !== 0) writeU32(bytes, at + 8, this.number(readU32(bytes, at + 8)))
    if (at + 16 <= end) writeU16(bytes, at + 14, 0) // the window
    for (let option = at + 20; option + 1 < Math.min(end, at + ((bytes[at + 12] as number) >>> 4) * 4); ) {
      const kind = bytes[option] as number
      if (kind === 0) break
      const length = kind === 1 ? 1 : Math.max(2, bytes[option + 1] as number)
      // a program may have cut it: what is left of it is a time all the same
      if (kind === timestampsOption && option + 2 < end) bytes.fill(0, option + 2, Math.min(end, option + 10))
      if (kind === sackOption) {
        for (let edge = option + 2; edge + 4 <= Math.min(end, option + length); edge += 4)
          writeU32(bytes, edge, this.number(readU32(bytes, edge)))
      }
      option += length
    }
  }

  /** An RST that answers a SYN which no tap has shown as one, because a program had changed it: the stream begins before. */
  private answered(acknowledgement: number): void {
    if (this.number(acknowledgement) === acknowledgement) this.starts.push((acknowledgement - 1) >>> 0)
  }

  /** VXLAN: the frame inside, and the source port, which is of its flow. */
  private udp(bytes: Uint8Array, at: number, end: number): void {
    if (at + 30 > end || !(isVxlanPort(readU16(bytes, at + 2)) || isVxlan(bytes, at + 8))) return
    this.ethernet(bytes, at + 16)
    writeU16(bytes, at, this.tunnelPorts.shown(bytes, at + 16, end, readU16(bytes, at)))
  }

  /** A sequence number as its distance from the start of its stream. */
  private number(sequence: number): number {
    if (sequence === 0) return 0 // an RST that answers a SYN has no number of its own
    let [nearest, distance] = [-1, windowBytes]
    // the start just before it: those of two streams may lie close to each other by chance
    for (const [index, start] of this.starts.entries()) {
      const from = (sequence - start) >>> 0
      if (from < distance) [nearest, distance] = [index, from]
    }
    return nearest === -1 ? sequence : ((nearest + 1) * numberStep + distance) >>> 0
  }
}

interface Part {
  readonly at: number
  readonly end: number
  readonly protocol: number
  /** The sum of the addresses. */
  readonly pseudo: number
  readonly fragment: boolean
  /** The first fragment, or a whole packet. */
  readonly first: boolean
  readonly what: 'whole' | 'quoted'
}

/** An IPv4 header that a program has cut: its identification and its sum, as far as they are there. */
function cutHeader(bytes: Uint8Array, at: number): void {
  bytes.fill(0, at + 4, at + 6)
  bytes.fill(0, at + 10, at + 12)
}

function isIpv4Header(bytes: Uint8Array, at: number): boolean {
  return bytes.length >= at + 20 && (bytes[at] as number) >>> 4 === 4
}

function isIpv6Header(bytes: Uint8Array, at: number): boolean {
  return bytes.length >= at + 40 && (bytes[at] as number) >>> 4 === 6
}

/** Whether these bytes are a header and not chance: their sum is right, or their length is what is left of the frame. */
function standsHere4(bytes: Uint8Array, at: number): boolean {
  const header = ((bytes[at] as number) & 15) * 4
  if (header < 20 || at + header > bytes.length) return false
  if (foldSum(sumWords(bytes, at, at + header)) === 0xffff) return true
  return header === 20 && readU16(bytes, at + 2) === bytes.length - at
}

function standsHere6(bytes: Uint8Array, at: number): boolean {
  return readU16(bytes, at + 4) === bytes.length - at - 40
}

function isError4(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12
}

function checksumField(number: number): number | undefined {
  switch (number) {
    case protocol.tcp:
      return 16
    case protocol.udp:
      return 6
    case protocol.icmp:
    case protocol.icmp6:
      return 2
    default:
      return undefined
  }
}

function judge(bytes: Uint8Array, part: Part, field: number): keyof typeof mark {
  const { at, end } = part
  if (part.protocol === protocol.udp && readU16(bytes, at + field) === 0) return 'none'
  const withPseudo = part.protocol !== protocol.icmp
  const length = end - at
  const start = withPseudo ? part.pseudo + part.protocol + (length >>> 16) + (length & 0xffff) : 0
  if (foldSum(sumWords(bytes, at, end, start)) === 0xffff) return 'right'
  // CHECKSUM_PARTIAL: the sum of the pseudo header, which the card would finish
  return withPseudo && readU16(bytes, at + field) === foldSum(start) ? 'right' : 'wrong'
}

/** What the kernel says by itself on a link with IPv6: reports of groups, questions for routers, questions for duplicates. */
export function isNoise(bytes: Uint8Array): boolean {
  if (bytes.length < 54 || readU16(bytes, 12) !== etherType.ipv6) return false
  let next = bytes[20] as number
  let at = 54
  if (next === 0 && bytes.length > 56) {
    next = bytes[at] as number
    at += ((bytes[at + 1] as number) + 1) * 8
  }
  if (next !== protocol.icmp6) return false
  const type = bytes[at] as number
  if ((type >= 130 && type <= 134) || type === 143) return true
  const unspecified = bytes.subarray(22, 38).every((byte) => byte === 0)
  return type === 135 && unspecified
}

/** ARP, and the solicitations and advertisements of IPv6. */
export function isNeighbourTalk(bytes: Uint8Array): boolean {
  if (bytes.length < 14) return false
  const type = readU16(bytes, 12)
  if (type === etherType.ipv6) return bytes[20] === protocol.icmp6 && (bytes[54] === 135 || bytes[54] === 136)
  return type === 0x0806
}
