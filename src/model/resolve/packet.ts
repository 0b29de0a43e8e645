// Raw packets as frames: real bytes, with the lengths and checksums that the person asked for or the right ones.
import { buildPacket } from '../../net/build.ts'
import { checksumOffset } from '../../net/checksum.ts'
import { dissect } from '../../net/dissect.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Packet, ShortPacket } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { integerOf } from '../words/numbers.ts'
import { optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'
import { hexIn } from './hex-bytes.ts'
import { readLayers } from './layered-packet.ts'
import type { Scope } from './scope.ts'
import { type PacketDraft, readShort } from './short-packet.ts'

/** Frames longer than this fit no device. */
const frameBytesMax = 65_536 + 18

export interface FrameDraft {
  readonly frame: Uint8Array
  readonly sender: string | undefined
}

/** The bytes of a packet, or undefined after a message (or where an end has no address yet). */
export function readFrame(
  packet: Packet,
  device: DeviceDraft | undefined,
  scope: Scope,
): FrameDraft | undefined {
  const { content } = packet
  if (content.kind === 'hex') {
    const frame = hexIn(content.data, scope)
    if (frame !== undefined && frame.length < 14) {
      scope.report(
        mistakeIn('S142', content.data, 'a frame has at least 14 bytes', {
          hint: 'the Ethernet header is missing',
        }),
      )
      return undefined
    }
    return frame && { frame, sender: undefined }
  }
  const draft =
    content.kind === 'short' ? readShort(content, device, scope) : readLayers(content, device, scope)
  if (draft === undefined || !sizeFits(packet, draft, scope)) return undefined
  const frame = buildPacket(draft.layers)
  if (content.kind === 'short') overrideChecksum(frame, content, scope)
  else patchHeaders(frame, content.layers)
  return { frame, sender: draft.sender }
}

function sizeFits(packet: Packet, { layers }: PacketDraft, { report }: Scope): boolean {
  let bytes = 0
  for (const layer of layers) bytes += layer.kind === 'payload' ? layer.bytes.length : 60
  if (bytes <= frameBytesMax) return true
  report(mistake('S142', packet.content.span, 'this packet is longer than any device can carry'))
  return false
}

/** `checksum bad | none | good | NUMBER` of the short form: of the transport header, or of IPv4 where there is none. */
function overrideChecksum(frame: Uint8Array, packet: ShortPacket, scope: Scope): void {
  const word = optionValue(packet.options, 'checksum')
  if (word === undefined || word.text === 'good') return
  const field = checksumField(frame)
  if (field === undefined) {
    scope.report(mistakeIn('S142', word, `a ${packet.protocol.text} packet has no checksum`))
    return
  }
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const value =
    word.text === 'bad' ? view.getUint16(field) ^ 0x5555 : word.text === 'none' ? 0 : integerOf(word.text)
  if (value === undefined || value < 0 || value > 0xffff) {
    scope.report(
      mistakeIn('S108', word, `\`${word.text}\` is out of range`, { hint: 'a checksum has 16 bits' }),
    )
    return
  }
  // A UDP checksum of zero means that there is none, which is not bad.
  view.setUint16(field, word.text === 'bad' && value === 0 ? 1 : value)
}

function checksumField(frame: Uint8Array): number | undefined {
  const { layers } = dissect(frame)
  for (const layer of layers.toReversed()) {
    if (layer.kind === 'ip') return layer.start + 10
    const protocol = protocolOf(layer.kind)
    if (protocol !== undefined) return layer.start + checksumOffset(protocol)
  }
  return undefined
}

function protocolOf(kind: string): number | undefined {
  switch (kind) {
    case 'tcp':
      return ipProtocol.tcp
    case 'udp':
      return ipProtocol.udp
    case 'icmp':
      return ipProtocol.icmp
    case 'icmp6':
      return ipProtocol.icmp6
    default:
      return undefined
  }
}

/** `ihl`, `version` and `doff` contradict the bytes that follow, so they are put in last and nothing else is repaired. */
function patchHeaders(
  frame: Uint8Array,
  layers: Extract<Packet['content'], { kind: 'layers' }>['layers'],
): void {
  const found = dissect(frame).layers
  for (const layer of layers) {
    const at = found.find((each) => each.kind === layer.name)?.start
    if (at === undefined) continue
    patchNibble(frame, at, 'high', optionValue(layer.fields, 'version')?.text)
    if (layer.name === 'ip') patchNibble(frame, at, 'low', optionValue(layer.fields, 'ihl')?.text)
    if (layer.name === 'tcp') patchNibble(frame, at + 12, 'high', optionValue(layer.fields, 'doff')?.text)
  }
}

function patchNibble(frame: Uint8Array, at: number, half: 'high' | 'low', text: string | undefined): void {
  const value = text === undefined ? undefined : integerOf(text)
  if (value === undefined) return
  const old = frame[at] ?? 0
  frame[at] = half === 'high' ? ((value & 15) << 4) | (old & 15) : (old & 0xf0) | (value & 15)
}
