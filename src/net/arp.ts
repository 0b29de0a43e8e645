// ARP for IPv4 over Ethernet. Before changing this file, read RFC 826; for what Linux accepts, net/ipv4/arp.c arp_rcv()
// and arp_process().
import { type Ipv4, readIpv4, writeIpv4 } from './address.ts'
import { readU16, writeU8, writeU16 } from './bytes.ts'
import { type Mac, readMac, writeMac } from './mac.ts'
import { type Malformed, malformed } from './malformed.ts'
import type { Naming } from './naming.ts'
import { etherType } from './protocol.ts'

export const arpAt = {
  hardwareType: 0,
  protocolType: 2,
  hardwareLength: 4,
  protocolLength: 5,
  operation: 6,
  senderMac: 8,
  senderIp: 14,
  targetMac: 18,
  targetIp: 24,
  payload: 28,
} as const

export const arpOperation = { request: 1, reply: 2 } as const

export interface ArpHeader {
  /** 1 request, 2 reply; other numbers are kept */
  readonly operation: number
  readonly senderMac: Mac
  readonly senderIp: Ipv4
  readonly targetMac: Mac
  readonly targetIp: Ipv4
}

/** The message at `offset`; malformed unless it is IPv4 over Ethernet and 28 bytes are there. */
export function decodeArp(bytes: Uint8Array, offset = 0, end = bytes.length): ArpHeader | Malformed {
  if (end - offset < arpAt.payload) return malformed('arp: shorter than its header')
  if (readU16(bytes, offset + arpAt.hardwareType) !== 1)
    return malformed('arp: hardware type is not ethernet')
  if (readU16(bytes, offset + arpAt.protocolType) !== etherType.ipv4)
    return malformed('arp: protocol is not ipv4')
  if (readU16(bytes, offset + arpAt.hardwareLength) !== 0x0604)
    return malformed('arp: address lengths are not 6 and 4')
  return {
    operation: readU16(bytes, offset + arpAt.operation),
    senderMac: readMac(bytes, offset + arpAt.senderMac),
    senderIp: readIpv4(bytes, offset + arpAt.senderIp),
    targetMac: readMac(bytes, offset + arpAt.targetMac),
    targetIp: readIpv4(bytes, offset + arpAt.targetIp),
  }
}

/** The 28 bytes of a message. */
export function encodeArp(header: ArpHeader): Uint8Array {
  const bytes = new Uint8Array(arpAt.payload)
  writeU16(bytes, arpAt.hardwareType, 1)
  writeU16(bytes, arpAt.protocolType, etherType.ipv4)
  writeU8(bytes, arpAt.hardwareLength, 6)
  writeU8(bytes, arpAt.protocolLength, 4)
  writeU16(bytes, arpAt.operation, header.operation)
  writeMac(bytes, arpAt.senderMac, header.senderMac)
  writeIpv4(bytes, arpAt.senderIp, header.senderIp)
  writeMac(bytes, arpAt.targetMac, header.targetMac)
  writeIpv4(bytes, arpAt.targetIp, header.targetIp)
  return bytes
}

/** `arp who-has 10.0.0.1 tell 10.0.0.2` or `arp 10.0.0.1 is-at 02:00:00:00:00:01` */
export function describeArp(header: ArpHeader, naming: Naming): string {
  switch (header.operation) {
    case arpOperation.request:
      return `arp who-has ${naming.ip(header.targetIp)} tell ${naming.ip(header.senderIp)}`
    case arpOperation.reply:
      return `arp ${naming.ip(header.senderIp)} is-at ${naming.mac(header.senderMac)}`
    default:
      return `arp op ${header.operation} ${naming.ip(header.senderIp)} > ${naming.ip(header.targetIp)}`
  }
}
