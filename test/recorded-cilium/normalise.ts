// Takes out of a frame what a kernel chooses freely: IP identifications of packets that it made itself, the UDP source port
// of a tunnel, the initial sequence number of a proxy's answer and its checksum; and finishes checksums that Linux leaves to a
// device. Both sides pass through here.
import { readU16, readU32, writeU16, writeU32 } from '../../src/net/bytes.ts'
import { foldSum, sumWords, writeSegmentChecksum } from '../../src/net/checksum.ts'

/** The recorder gives every packet it injects this identification, or a small one to fragments. */
const injectedIds = new Set([0x1234, 7, 8, 0])
const vxlanPort = 8472
const synAck = 0x12
const tcpNumber = 6

interface Where {
  readonly bytes: Uint8Array
  /** Set when the flow is one that a socket of a node answers: its sequence numbers are random. */
  readonly proxied: boolean
}

function tcp({ bytes, proxied }: Where, at: number): void {
  const flags = bytes[at + 13] ?? 0
  // sequence numbers of injected packets are 1000, 5000 and their neighbours
  const sequence = readU32(bytes, at + 4)
  const acknowledged = readU32(bytes, at + 8)
  if (!proxied || (flags & 0x3f) !== synAck || sequence === 5000 || acknowledged === 0) return
  writeU32(bytes, at + 4, 0)
  writeU16(bytes, at + 16, 0)
}

function udp(where: Where, at: number): void {
  const { bytes } = where
  if (readU16(bytes, at + 2) !== vxlanPort || at + 16 >= bytes.length) return
  writeU16(bytes, at, 0)
  ethernet(where, at + 16)
}

/** Sum of the pseudo header, which Linux leaves in the field where the device is to finish the checksum (CHECKSUM_PARTIAL). */
function unfinished(bytes: Uint8Array, l3: number, l4: number, end: number): number {
  const six = (bytes[l3] ?? 0) >> 4 === 6
  const [from, to] = six ? [l3 + 8, l3 + 40] : [l3 + 12, l3 + 20]
  return foldSum(sumWords(bytes, from, to, tcpNumber + end - l4))
}

/** A segment that a node's own socket sent has its checksum only behind its device; here every packet has it. */
function finishTcp(bytes: Uint8Array, l3: number, l4: number, end: number): void {
  if (end > bytes.length || readU16(bytes, l4 + 16) !== unfinished(bytes, l3, l4, end)) return
  writeSegmentChecksum(bytes, { l3, l4, end, protocol: tcpNumber })
}

function ip4(where: Where, at: number): void {
  const { bytes } = where
  if (at + 20 > bytes.length) return
  const l4 = at + ((bytes[at] ?? 0) & 0xf) * 4
  const tunnel = bytes[at + 9] === 17 && l4 + 4 <= bytes.length && readU16(bytes, l4 + 2) === vxlanPort
  if (tunnel || !injectedIds.has(readU16(bytes, at + 4))) {
    writeU16(bytes, at + 4, 0)
    writeU16(bytes, at + 10, 0)
  }
  if (bytes[at + 9] === tcpNumber && l4 + 20 <= bytes.length) {
    tcp(where, l4)
    finishTcp(bytes, at, l4, at + readU16(bytes, at + 2))
  }
  if (bytes[at + 9] === 17 && l4 + 8 <= bytes.length) udp(where, l4)
}

function ethernet(where: Where, at: number): void {
  const { bytes } = where
  const type = readU16(bytes, at + 12)
  if (type === 0x0800) ip4(where, at + 14)
  if (type === 0x86dd && bytes[at + 14 + 6] === tcpNumber && at + 14 + 60 <= bytes.length) {
    tcp(where, at + 54)
    finishTcp(bytes, at + 14, at + 54, at + 54 + readU16(bytes, at + 18))
  }
}

/** Normalised hex of a frame. */
export function normalised(hex: string, proxied: boolean): string {
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
  if (bytes.length >= 14) ethernet({ bytes, proxied }, 0)
  return Buffer.from(bytes).toString('hex')
}
