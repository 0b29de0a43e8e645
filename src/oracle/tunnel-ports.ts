// Source ports of VXLAN as they are compared: each is a hash seeded at boot, or drawn by the socket inside.
import { readU16, readU32 } from '../net/bytes.ts'
import { etherType, ipProtocol, tunnelPort } from '../net/protocol.ts'

/** The first source port of a flow in a tunnel is shown as this one. */
const firstShown = 50_000

/** Whether tunnels go to this port. */
export function isVxlanPort(port: number): boolean {
  return port === tunnelPort.vxlan || port === tunnelPort.vxlanLinux
}

/** A VXLAN header with an Ethernet frame behind it, whatever port a program has led it to. */
export function isVxlan(bytes: Uint8Array, at: number): boolean {
  const types: readonly number[] = [etherType.ipv4, etherType.ipv6, etherType.arp]
  return (
    readU32(bytes, at) === 0x0800_0000 && bytes[at + 7] === 0 && types.includes(readU16(bytes, at + 8 + 12))
  )
}

/** What a flow inside a tunnel is known by: its addresses, protocol and ports; of other frames the MAC addresses. */
function innerFlow(bytes: Uint8Array, start: number, end: number): string {
  const l3 = start + 14
  const four = readU16(bytes, l3 - 2) === etherType.ipv4 && l3 + 24 <= end
  const six = readU16(bytes, l3 - 2) === etherType.ipv6 && l3 + 44 <= end
  if (!four && !six) return bytes.slice(start, l3).join(' ')
  const number = bytes[l3 + (four ? 9 : 6)] as number
  const l4 = four ? l3 + ((bytes[l3] as number) & 15) * 4 : l3 + 40
  const whole = !four || (readU16(bytes, l3 + 6) & 0x3fff) === 0
  const ports =
    whole && (number === ipProtocol.tcp || number === ipProtocol.udp) ? bytes.slice(l4, l4 + 4) : []
  const ends = bytes.slice(four ? l3 + 12 : l3 + 8, four ? l3 + 20 : l3 + 40)
  return `${ends.join(' ')} ${number} ${ports.join(' ')}`
}

/**
 * The ports of one side: each that a flow inside has had gets a number, so that a flow keeps its port, or takes another, on both
 * sides alike.
 */
export class TunnelPorts {
  /** In the order in which they appear, by the flow inside. */
  private readonly seen = new Map<string, number[]>()

  /** What the source port of a tunnel is shown as; the frame inside stands from `start` to `end`. */
  shown(bytes: Uint8Array, start: number, end: number, port: number): number {
    const flow = innerFlow(bytes, start, end)
    const ports = this.seen.get(flow) ?? []
    this.seen.set(flow, ports)
    const at = ports.indexOf(port)
    return firstShown + (at === -1 ? ports.push(port) - 1 : at)
  }
}
