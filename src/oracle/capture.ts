// What passes the taps of real devices: one AF_PACKET socket for each, with a receive ring, into which the kernel copies
// every frame at the moment it passes (a queued frame would show what later hooks have written into it). The same place
// in the path as a tap of the model. Documentation/networking/packet_mmap.rst, TPACKET_V2.
import { isNoise } from './canonical.ts'
import { intBytes, type Libc, type Memory, must } from './native.ts'

/** A frame at a tap. A VLAN tag that lies beside it has been put back. */
export interface TapFrame {
  readonly node: string
  readonly device: string
  readonly direction: 'in' | 'out'
  readonly bytes: Uint8Array
  /** Nanoseconds; only the order counts. */
  readonly time: bigint
  /** The packet's name, on the model's side. */
  readonly packet?: string
}

const familyPacket = 17
const rawNonBlocking = 3 | 0x800 | 0x80000
const allProtocolsNetworkOrder = 0x0300
const levelPacket = 263
const option = { receiveRing: 5, version: 10, qdiscBypass: 20 } as const
const secondVersion = 1
const outgoing = 4
const status = { user: 1, vlanValid: 1 << 4 } as const
const blockBytes = 1 << 17
const slotBytesMin = 2048
const slotHeadBytes = 128
/** struct tpacket2_hdr, and struct sockaddr_ll behind it. */
const headerAt = {
  status: 0,
  snapLength: 8,
  mac: 12,
  seconds: 16,
  nanoseconds: 20,
  tci: 24,
  tpid: 26,
  packetType: 42,
} as const

/** sockaddr_ll */
function linkAddress(ifindex: number, protocol: number): Uint8Array {
  const bytes = new Uint8Array(20)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, familyPacket, true)
  view.setUint16(2, protocol, true)
  view.setInt32(4, ifindex, true)
  return bytes
}

/** Puts a tag back in front of the ethertype. */
export function withTag(frame: Uint8Array, tci: number, protocol: number): Uint8Array {
  const tagged = new Uint8Array(frame.length + 4)
  tagged.set(frame.subarray(0, 12))
  tagged.set([protocol >>> 8, protocol & 0xff, tci >>> 8, tci & 0xff], 12)
  tagged.set(frame.subarray(12), 16)
  return tagged
}

/** How much a tap must hold before it is read: frames, and bytes of the largest. */
export interface RingSize {
  readonly frames: number
  readonly bytes: number
}

interface Tap {
  readonly node: string
  readonly device: string
  readonly ifindex: number
  readonly socket: number
  readonly ring: Memory
  /** The slot that the kernel fills next. */
  next: number
}

/** All taps of a scenario. */
export class Capture {
  readonly frames: TapFrame[] = []
  private readonly libc: Libc
  private readonly taps: Tap[] = []
  private readonly slotBytes: number
  private readonly slotCount: number

  constructor(libc: Libc, size: RingSize) {
    this.libc = libc
    let slot = slotBytesMin
    while (slot < size.bytes + slotHeadBytes && slot < blockBytes) slot *= 2
    const perBlock = blockBytes / slot
    this.slotBytes = slot
    this.slotCount = Math.ceil(size.frames / perBlock) * perBlock
  }

  /** Opens a tap if there is none; must run inside the device's namespace. */
  add(node: string, device: string, ifindex: number): void {
    const { libc } = this
    if (this.taps.some((tap) => tap.node === node && tap.ifindex === ifindex)) return
    const socket = must(libc, libc.socket(familyPacket, rawNonBlocking, 0), 'an AF_PACKET socket is opened')
    libc.setsockopt(socket, levelPacket, option.version, intBytes(secondVersion), 4)
    const request = new Uint8Array(16)
    const view = new DataView(request.buffer)
    const whole = this.slotBytes * this.slotCount
    for (const [index, value] of [blockBytes, whole / blockBytes, this.slotBytes, this.slotCount].entries())
      view.setUint32(index * 4, value, true)
    must(libc, libc.setsockopt(socket, levelPacket, option.receiveRing, request, 16), 'a ring is made')
    const ring = libc.mapFile(socket, whole)
    const address = linkAddress(ifindex, allProtocolsNetworkOrder)
    must(libc, libc.bind(socket, address, address.length), `a tap is put on ${node}/${device}`)
    this.taps.push({ node, device, ifindex, socket, ring, next: 0 })
  }

  /** Takes everything that has arrived. */
  drain(): void {
    for (const tap of this.taps) while (this.take(tap));
  }

  close(): void {
    for (const { socket, ring } of this.taps) {
      this.libc.unmap(ring)
      this.libc.close(socket)
    }
    this.taps.length = 0
  }

  private take(tap: Tap): boolean {
    const { view, bytes } = tap.ring
    const at = tap.next * this.slotBytes
    const flags = view.getUint32(at + headerAt.status, true)
    if ((flags & status.user) === 0) return false
    const start = at + view.getUint16(at + headerAt.mac, true)
    const frame = bytes.slice(start, start + view.getUint32(at + headerAt.snapLength, true))
    const tagged = (flags & status.vlanValid) !== 0
    if (!isNoise(frame)) {
      const seconds = BigInt(view.getUint32(at + headerAt.seconds, true))
      const protocol = view.getUint16(at + headerAt.tpid, true) || 0x8100
      this.frames.push({
        node: tap.node,
        device: tap.device,
        direction: bytes[at + headerAt.packetType] === outgoing ? 'out' : 'in',
        bytes: tagged ? withTag(frame, view.getUint16(at + headerAt.tci, true), protocol) : frame,
        time: seconds * 1_000_000_000n + BigInt(view.getUint32(at + headerAt.nanoseconds, true)),
      })
    }
    view.setUint32(at + headerAt.status, 0, true)
    tap.next = (tap.next + 1) % this.slotCount
    return true
  }
}

/** A socket that sends frames past tc and the taps of its device; must be opened inside the namespace. */
export function openInjector(libc: Libc, ifindex: number): number {
  const socket = must(libc, libc.socket(familyPacket, rawNonBlocking, 0), 'an AF_PACKET socket is opened')
  libc.setsockopt(socket, levelPacket, option.qdiscBypass, intBytes(1), 4)
  const address = linkAddress(ifindex, 0)
  must(libc, libc.bind(socket, address, address.length), 'an injector is bound')
  return socket
}
