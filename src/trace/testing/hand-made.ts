// Traces made by hand for tests: packets as bytes, and events with what differs from the usual.
import { type Ipv4, parseIpv4 } from '../../net/address.ts'
import { concatBytes } from '../../net/bytes.ts'
import { writeSegmentChecksum } from '../../net/checksum.ts'
import { encodeEthernet } from '../../net/ethernet.ts'
import { encodeIpv4, writeIpv4Checksum } from '../../net/ipv4.ts'
import type { Ipv4Option } from '../../net/ipv4-options.ts'
import { type Mac, macFrom } from '../../net/mac.ts'
import { etherType, ipProtocol } from '../../net/protocol.ts'
import { encodeTcp, tcpFlag } from '../../net/tcp.ts'
import { encodeUdp } from '../../net/udp.ts'
import type { HookEvent, Outcome, PacketTrace, Snapshot, Trace } from '../event.ts'

/** What tests say of a packet; the rest is the usual. */
export interface PacketWords {
  readonly from?: string
  readonly to?: string
  readonly sport?: number
  readonly dport?: number
  readonly ttl?: number
  readonly tos?: number
  readonly flags?: number
  readonly options?: readonly Ipv4Option[]
  readonly payload?: Uint8Array
  readonly macs?: readonly [source: number, destination: number]
}

function ip(text: string): Ipv4 {
  return parseIpv4(text) ?? (0 as Ipv4)
}

function ipv4Packet(words: PacketWords, protocol: number, segment: Uint8Array): Uint8Array {
  const { ttl = 64, tos = 0, options = [], macs = [1, 2] } = words
  const header = encodeIpv4({
    tos,
    totalLength: 0,
    identification: 1,
    reservedFlag: false,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl,
    protocol,
    checksum: 0,
    source: ip(words.from ?? '10.1.0.50'),
    destination: ip(words.to ?? '10.2.0.2'),
    options,
  })
  header[2] = (header.length + segment.length) >>> 8
  header[3] = header.length + segment.length
  const link = encodeEthernet({
    source: macFrom(macs[0]) as Mac,
    destination: macFrom(macs[1]) as Mac,
    type: etherType.ipv4,
  })
  const bytes = concatBytes([link, header, segment])
  writeIpv4Checksum(bytes, 14)
  writeSegmentChecksum(bytes, { l3: 14, l4: 14 + header.length, end: bytes.length, protocol })
  return bytes
}

/** A TCP segment in an Ethernet frame, a SYN unless said otherwise. */
export function tcpBytes(words: PacketWords = {}): Uint8Array {
  const { sport = 4000, dport = 80, flags = tcpFlag.syn, payload = new Uint8Array() } = words
  const header = encodeTcp({
    source: sport,
    destination: dport,
    sequence: 1,
    acknowledgement: 0,
    reserved: 0,
    flags,
    window: 65535,
    checksum: 0,
    urgent: 0,
    options: [],
  })
  return ipv4Packet(words, ipProtocol.tcp, concatBytes([header, payload]))
}

/** A UDP datagram in an Ethernet frame. */
export function udpBytes(words: PacketWords = {}): Uint8Array {
  const { sport = 4000, dport = 53, payload = new Uint8Array() } = words
  const header = encodeUdp({ source: sport, destination: dport, length: 8 + payload.length, checksum: 0 })
  return ipv4Packet(words, ipProtocol.udp, concatBytes([header, payload]))
}

/** A snapshot of a frame with the usual metadata. */
export function snapshot(bytes: Uint8Array, more: Partial<Snapshot> = {}): Snapshot {
  return { bytes, start: 'ethernet', mark: 0, pktType: 0, vlanTci: -1, metaBytes: 0, ...more }
}

/** An event that changes nothing: `node/device stage`, with what differs. */
export function hook(
  place: string,
  before: Snapshot,
  more: Partial<Omit<HookEvent, 'before'>> = {},
): HookEvent {
  const [path = '', stage = 'rx'] = place.split(' ')
  const [node = '', device = ''] = path.split('/')
  return {
    node,
    device,
    stage: stage as HookEvent['stage'],
    actor: '',
    before,
    after: before,
    facts: [],
    nested: [],
    time: 0,
    ...more,
  }
}

/** A packet with its events, delivered where the last one stands; one without events is unfinished. */
export function packet(
  name: string,
  events: readonly HookEvent[],
  more: Partial<PacketTrace> = {},
): PacketTrace {
  const first = events[0]?.before ?? snapshot(new Uint8Array(14))
  const last = events.at(-1)
  const outcomes: Outcome[] =
    last === undefined ? [] : [{ kind: 'delivered', node: last.node, device: last.device, stage: 'rx' }]
  return { name, cause: '', first, events, outcomes, ...more }
}

/** A case with the names of example 3. */
export function trace(packets: readonly PacketTrace[], more: Partial<Trace> = {}): Trace {
  const bindings = [
    { name: 'friend', addresses: ['10.1.0.50'], remarks: [] },
    { name: 'attacker', addresses: ['10.1.0.66'], remarks: [] },
    { name: 'host', addresses: ['10.1.0.1'], remarks: [] },
    { name: 'app', addresses: ['10.2.0.2', 'fd00::2'], remarks: [] },
  ]
  return { scenario: 'codes', bindings, packets, state: [], ...more }
}
