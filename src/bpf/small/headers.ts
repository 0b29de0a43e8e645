// One run of a small program: its context, and where the headers of its packet lie. The walk is what a C program does at
// its start: compare with data_end, follow ethertypes and protocols; it happens when a header is first asked for.
import { readU16 } from '../../net/bytes.ts'
import type { RunContext } from '../contract.ts'
import { fault } from '../fault.ts'
import type { AnyMap } from '../maps/create.ts'
import { layers } from './fields.ts'

const absent = -1
const layerCount = 12
const vlanTagsMax = 2
const extensionsMax = 8
const tunnelPorts = { vxlan: 4789, vxlanLinux: 8472, geneve: 6081 } as const

/** IP protocol -> layer, and how many bytes of it must be there. */
function transportLayer(protocol: number): number {
  switch (protocol) {
    case 6:
      return layers.tcp
    case 17:
      return layers.udp
    case 132:
      return layers.sctp
    case 1:
      return layers.icmp
    case 58:
      return layers.icmp6
    default:
      return absent
  }
}

const transportBytes: Readonly<Record<number, number>> = {
  [layers.tcp]: 20,
  [layers.udp]: 8,
  [layers.sctp]: 12,
  [layers.icmp]: 8,
  [layers.icmp6]: 8,
}

/** The state of one run. Offsets are positions in `bytes`; -1 says that the layer is not there. */
export class SmallRun {
  context: RunContext
  bytes: Uint8Array
  start = 0
  end = 0
  /** Set by an action that must end the run with this code. */
  stop: number | undefined
  /** What a redirect-map helper answered, or -1. */
  redirectCode = absent
  private readonly maps: readonly AnyMap[]
  private readonly offsets = new Int32Array(layerCount)
  private walked = false

  constructor(context: RunContext, maps: readonly AnyMap[]) {
    this.context = context
    this.maps = maps
    this.bytes = (context.skb ?? context.xdp ?? fault('a small program needs a packet')).bytes
    this.refresh()
  }

  /** Makes the state fresh for another run: a program keeps one for each level of nesting. */
  reset(context: RunContext): void {
    this.context = context
    this.stop = undefined
    this.redirectCode = absent
    this.refresh()
  }

  /** The map of an index, in this instance of the program: code is shared by instances, maps are not. */
  map(index: number): AnyMap {
    return this.maps[index] ?? fault(`no map number ${index}`)
  }

  /** Reads the packet's place again: after every helper that may move it. */
  refresh(): void {
    const { skb, xdp } = this.context
    if (xdp !== undefined) {
      this.bytes = xdp.bytes
      this.start = xdp.data
      this.end = xdp.dataEnd
    } else if (skb !== undefined) {
      this.bytes = skb.bytes
      this.start = skb.start
      this.end = skb.end
    }
    this.walked = false
  }

  /** Where a layer starts, or -1. */
  layer(index: number): number {
    if (!this.walked) this.walk()
    return this.offsets[index] as number
  }

  private walk(): void {
    this.walked = true
    const { bytes, start, end, offsets } = this
    for (let layer = 0; layer < layerCount; layer += 1) offsets[layer] = absent
    if (this.context.type === 'cgroup_skb') {
      this.follow(this.context.skb?.protocol ?? 0, start)
      return
    }
    if (end - start < 14) return
    this.offsets[layers.eth] = start
    let at = start + 14
    let type = readU16(bytes, at - 2)
    for (let tags = 0; tags < vlanTagsMax && (type === 0x8100 || type === 0x88a8); tags += 1) {
      if (end - at < 4) return
      if (tags === 0) this.offsets[layers.vlan] = at
      type = readU16(bytes, at + 2)
      at += 4
    }
    this.follow(type, at)
  }

  private follow(type: number, at: number): void {
    if (type === 0x0800) this.walkIpv4(at)
    else if (type === 0x86dd) this.walkIpv6(at)
    else if (type === 0x0806 && this.end - at >= 28) this.offsets[layers.arp] = at
  }

  private walkIpv4(at: number): void {
    const { bytes, end } = this
    if (end - at < 20) return
    const headerBytes = ((bytes[at] as number) & 15) * 4
    if (headerBytes < 20) return
    this.offsets[layers.ip] = at
    // a later fragment has no transport header
    if ((readU16(bytes, at + 6) & 0x1fff) === 0) this.walkTransport(at + headerBytes, bytes[at + 9] as number)
  }

  private walkIpv6(at: number): void {
    const { bytes, end } = this
    if (end - at < 40) return
    this.offsets[layers.ip6] = at
    let next = bytes[at + 6] as number
    let position = at + 40
    for (let count = 0; count < extensionsMax; count += 1) {
      const known = next === 0 || next === 43 || next === 44 || next === 51 || next === 60
      if (!known) {
        this.walkTransport(position, next)
        return
      }
      if (end - position < 8) return
      if (next === 44 && (readU16(bytes, position + 2) & 0xfff8) !== 0) return
      const units = bytes[position + 1] as number
      const length = next === 44 ? 8 : next === 51 ? (units + 2) * 4 : (units + 1) * 8
      next = bytes[position] as number
      position += length
    }
  }

  private walkTransport(at: number, protocol: number): void {
    const layer = transportLayer(protocol)
    if (layer === absent || this.end - at < (transportBytes[layer] as number)) return
    this.offsets[layer] = at
    if (layer !== layers.udp || this.end - at < 16) return
    const port = readU16(this.bytes, at + 2)
    if (port === tunnelPorts.vxlan || port === tunnelPorts.vxlanLinux) this.offsets[layers.vxlan] = at + 8
    if (port === tunnelPorts.geneve) this.offsets[layers.geneve] = at + 8
  }
}
