// Brings a packet to the form in which the recorded ones are written: what a kernel chooses by chance gets a fixed value.
// The rules are those of facts/recorded/kernel/README.md; TCP windows are left out of the comparison.
import { transportOf } from '../../src/kernel/ip6/extension.ts'
import { readU16, readU32, writeU16, writeU32 } from '../../src/net/bytes.ts'
import { checksumOf, writeSegmentChecksum } from '../../src/net/checksum.ts'
import { findExtension } from '../../src/net/ipv6-extensions.ts'
import { etherType, ipProtocol } from '../../src/net/protocol.ts'

const firstSequence = 10_000_000
const firstPort = 61_001
const noChecksum = 0xeeee

/** Chosen numbers in order of first appearance, for one case. */
export class Chosen {
  /** Whether a port was chosen by a socket's kernel: it is in the range for that and the case does not name it. */
  isEphemeral: (port: number) => boolean = () => false
  /** Ports and identifiers that NAT chose by chance: sets that grow while a case is played. */
  readonly natPorts: (() => ReadonlySet<number> | undefined)[] = []
  private readonly portStands = new Map<number, number>()
  private readonly bases = new Map<string, number>()
  private readonly stands = new Map<string, number>()

  /** The stand-in of a port that was chosen by chance, else the port. */
  port(port: number): number {
    const known = this.portStands.get(port)
    if (known !== undefined) return known
    if (!this.isEphemeral(port) && !this.natPorts.some((ports) => ports()?.has(port) === true)) return port
    const stand = firstPort + this.portStands.size
    this.portStands.set(port, stand)
    return stand
  }

  /** The port behind a stand-in, for a recorded answer to it. */
  realPort(stand: number): number {
    for (const [port, known] of this.portStands) if (known === stand) return port
    return stand
  }

  /** Sequence numbers of a flow that was injected stay as they are. */
  keep(flow: string): void {
    this.bases.set(flow, 0)
    this.stands.set(flow, 0)
  }

  opened(flow: string, sequence: number): void {
    if (this.bases.has(flow)) return
    this.bases.set(flow, sequence)
    // a flow that NAT renamed keeps its numbers
    for (const [other, base] of this.bases) {
      const known = this.stands.get(other)
      if (base !== sequence || known === undefined) continue
      this.stands.set(flow, known)
      return
    }
    const shown = new Set([...this.stands.values()].filter((stand) => stand > 0)).size
    this.stands.set(flow, firstSequence * (shown + 1))
  }

  shown(flow: string, sequence: number): number {
    const base = this.bases.get(flow)
    if (base === undefined) return sequence
    return (sequence - base + (this.stands.get(flow) ?? 0)) >>> 0
  }
}

/** The name of one direction of a TCP flow. */
export function flowName(source: string, sport: number, destination: string, dport: number): string {
  return `${source} ${sport} ${destination} ${dport}`
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

interface Ip {
  readonly header: number
  readonly protocol: number
  readonly l4: number
  readonly end: number
  readonly source: string
  readonly destination: string
  readonly whole: boolean
  /** A fragment without the transport header. */
  readonly later: boolean
}

function readIp(bytes: Uint8Array, at: number, limit: number): Ip | undefined {
  const version = (bytes[at] ?? 0) >> 4
  if (version === 4 && limit - at >= 20) {
    const header = ((bytes[at] ?? 0) & 15) * 4
    const end = at + readU16(bytes, at + 2)
    const fragment = (readU16(bytes, at + 6) & 0x3fff) !== 0
    return {
      header,
      protocol: bytes[at + 9] ?? 0,
      l4: at + header,
      end: Math.min(end, limit),
      source: hexOf(bytes.subarray(at + 12, at + 16)),
      destination: hexOf(bytes.subarray(at + 16, at + 20)),
      whole: end <= limit && !fragment,
      later: (readU16(bytes, at + 6) & 0x1fff) !== 0,
    }
  }
  return version === 6 && limit - at >= 40 ? readIp6(bytes, at, limit) : undefined
}

function readIp6(bytes: Uint8Array, at: number, limit: number): Ip {
  const said = at + 40 + readU16(bytes, at + 4)
  const end = Math.min(said, limit)
  const behind = transportOf(bytes, at, end)
  const fragment = findExtension(bytes, at, end, ipProtocol.fragment)
  const part = fragment >= 0 && (readU16(bytes, fragment + 2) & 0xfff9) !== 0
  return {
    header: 40,
    protocol: behind?.protocol ?? -1,
    l4: behind?.offset ?? end,
    end,
    source: hexOf(bytes.subarray(at + 8, at + 24)),
    destination: hexOf(bytes.subarray(at + 24, at + 40)),
    whole: said <= limit && !part,
    later: behind?.laterFragment ?? true,
  }
}

/** The identification of a fragmented datagram is a hash with a secret of the kernel's. */
function hideFragmentId(bytes: Uint8Array, at: number, end: number): void {
  const fragment = findExtension(bytes, at, end, ipProtocol.fragment)
  if (fragment >= 0) writeU32(bytes, fragment + 4, 0)
}

function normaliseTcp(bytes: Uint8Array, ip: Ip, chosen: Chosen): void {
  const { l4 } = ip
  if (ip.end - l4 < 16) return
  const ports = [readU16(bytes, l4), readU16(bytes, l4 + 2)] as const
  const forth = flowName(ip.source, ports[0], ip.destination, ports[1])
  const back = flowName(ip.destination, ports[1], ip.source, ports[0])
  const flags = bytes[l4 + 13] ?? 0
  if ((flags & 2) !== 0) chosen.opened(forth, readU32(bytes, l4 + 4))
  writeU32(bytes, l4 + 4, chosen.shown(forth, readU32(bytes, l4 + 4)))
  if ((flags & 16) !== 0) writeU32(bytes, l4 + 8, chosen.shown(back, readU32(bytes, l4 + 8)))
  writeU16(bytes, l4 + 14, 0)
}

/** Ports after the sequence numbers, which are remembered by the real ones. */
function normalisePorts(bytes: Uint8Array, { l4, end, protocol }: Ip, chosen: Chosen): void {
  if ((protocol !== ipProtocol.tcp && protocol !== ipProtocol.udp) || end - l4 < 4) return
  if (protocol === ipProtocol.udp && vxlanPorts.has(readU16(bytes, l4 + 2))) return
  writeU16(bytes, l4, chosen.port(readU16(bytes, l4)))
  writeU16(bytes, l4 + 2, chosen.port(readU16(bytes, l4 + 2)))
}

/** Echo requests and replies: their identifiers may be NAT's. */
const echoes = new Set([0, 8, 128, 129])

function normaliseIcmp(bytes: Uint8Array, ip: Ip, chosen: Chosen): void {
  const type = bytes[ip.l4] ?? 0
  const error = ip.protocol === ipProtocol.icmp ? [3, 4, 5, 11, 12].includes(type) : type < 128
  if (error) normaliseIp(bytes, ip.l4 + 8, ip.end, chosen)
  else if (echoes.has(type)) writeU16(bytes, ip.l4 + 4, chosen.port(readU16(bytes, ip.l4 + 4)))
}

const vxlanPorts = new Set([4789, 8472])
const vxlanSourcePort = 50_000

/** The outer source port is a hash seeded per boot; the frame inside is brought to the same form. */
function normaliseVxlan(bytes: Uint8Array, ip: Ip, chosen: Chosen): void {
  const inner = ip.l4 + 16
  if (inner + 14 > ip.end || !vxlanPorts.has(readU16(bytes, ip.l4 + 2))) return
  writeU16(bytes, ip.l4, vxlanSourcePort)
  const type = readU16(bytes, inner + 12)
  if (type === etherType.ipv4 || type === etherType.ipv6) normaliseIp(bytes, inner + 14, ip.end, chosen)
}

const checksumAt = new Map<number, number>([
  [ipProtocol.tcp, 16],
  [ipProtocol.udp, 6],
  [ipProtocol.icmp, 2],
  [ipProtocol.icmp6, 2],
])

function normaliseIp(bytes: Uint8Array, at: number, limit: number, chosen: Chosen): void {
  const ip = readIp(bytes, at, limit)
  if (ip === undefined) return
  if (ip.protocol === ipProtocol.tcp && !ip.later) normaliseTcp(bytes, ip, chosen)
  if (!ip.later) normalisePorts(bytes, ip, chosen)
  if (ip.protocol === ipProtocol.icmp || ip.protocol === ipProtocol.icmp6) normaliseIcmp(bytes, ip, chosen)
  if (ip.protocol === ipProtocol.udp && !ip.later) normaliseVxlan(bytes, ip, chosen)
  const four = (bytes[at] ?? 0) >> 4 === 4
  if (four) {
    writeU16(bytes, at + 4, 0)
    writeU16(bytes, at + 10, 0)
    writeU16(bytes, at + 10, checksumOf(bytes, at, at + ip.header))
  } else {
    bytes[at + 1] = (bytes[at + 1] ?? 0) & 0xf0
    writeU16(bytes, at + 2, 0)
    hideFragmentId(bytes, at, ip.end)
  }
  const offset = checksumAt.get(ip.protocol)
  if (offset === undefined || ip.l4 + offset + 2 > ip.end) return
  if (ip.protocol === ipProtocol.udp && readU16(bytes, ip.l4 + 6) === 0) return
  if (ip.whole) writeSegmentChecksum(bytes, { l3: at, l4: ip.l4, end: ip.end, protocol: ip.protocol })
  else writeU16(bytes, ip.l4 + offset, noChecksum)
}

/** A normal form of packet bytes that start at the Ethernet or the IP header, as hex. */
export function normalise(source: Uint8Array, start: 'ethernet' | 'ip', chosen: Chosen): string {
  const bytes = source.slice()
  if (start === 'ip') normaliseIp(bytes, 0, bytes.length, chosen)
  else {
    const type = readU16(bytes, 12)
    if (type === etherType.ipv4 || type === etherType.ipv6) normaliseIp(bytes, 14, bytes.length, chosen)
  }
  return hexOf(bytes)
}

/** Bytes from hex. */
export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
