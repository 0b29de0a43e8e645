// Direct packet access: what a C program does through `data`, `data_end` and `data_meta`. Positions are offsets from
// `data`; those of the metadata are negative (-4 is its last word). Every access is checked, and one outside of the
// packet stops the program, as the verifier would have.
import { readU16, readU32, readU48, writeU16, writeU32, writeU48 } from '../../net/bytes.ts'
import type { ProgramType, RunContext, SkbView, XdpBuff } from '../contract.ts'
import { fault } from '../fault.ts'
import { readLe32, writeLe32 } from './byte-order.ts'

/** may_access_direct_pkt_data() in kernel/bpf/verifier.c: who may look at packet bytes without a helper, and who may write. */
const direct: Readonly<Partial<Record<ProgramType, 'read' | 'write'>>> = {
  xdp: 'write',
  sched_cls: 'write',
  cgroup_skb: 'read',
}

/**
 * The packet of one run. Numbers are in network byte order (`u16(12)` is the ethertype), except `le32` and `setLe32`,
 * which read and write as a C program does without conversion: metadata is written that way.
 */
export class Packet {
  private readonly xdp: XdpBuff | undefined
  private readonly skb: SkbView | undefined
  private readonly access: 'read' | 'write' | undefined

  constructor(context: RunContext) {
    this.xdp = context.xdp
    this.skb = context.skb
    this.access = direct[context.type]
  }

  /** data_end - data. */
  get length(): number {
    if (this.xdp !== undefined) return this.xdp.dataEnd - this.xdp.data
    return this.skb === undefined ? 0 : this.skb.end - this.skb.start
  }

  /** data - data_meta. */
  get metaLength(): number {
    return this.xdp !== undefined ? this.xdp.data - this.xdp.meta : (this.skb?.metaBytes ?? 0)
  }

  /** Whether `size` bytes at `offset` lie in the packet: the comparison with data_end that every C program makes. */
  has(offset: number, size: number): boolean {
    if (offset >= 0) return offset + size <= this.length
    return -offset <= this.metaLength && offset + size <= 0
  }

  u8(offset: number): number {
    return this.bytes[this.readable(offset, 1)] as number
  }

  u16(offset: number): number {
    return readU16(this.bytes, this.readable(offset, 2))
  }

  u32(offset: number): number {
    return readU32(this.bytes, this.readable(offset, 4))
  }

  u48(offset: number): number {
    return readU48(this.bytes, this.readable(offset, 6))
  }

  le32(offset: number): number {
    return readLe32(this.bytes, this.readable(offset, 4))
  }

  /** A copy of `size` bytes. */
  copy(offset: number, size: number): Uint8Array {
    const at = this.readable(offset, size)
    return this.bytes.slice(at, at + size)
  }

  setU8(offset: number, value: number): void {
    const at = this.writable(offset, 1)
    this.bytes[at] = value
  }

  setU16(offset: number, value: number): void {
    writeU16(this.bytes, this.writable(offset, 2), value)
  }

  setU32(offset: number, value: number): void {
    writeU32(this.bytes, this.writable(offset, 4), value)
  }

  setU48(offset: number, value: number): void {
    writeU48(this.bytes, this.writable(offset, 6), value)
  }

  setLe32(offset: number, value: number): void {
    writeLe32(this.bytes, this.writable(offset, 4), value)
  }

  setBytes(offset: number, bytes: Uint8Array): void {
    const at = this.writable(offset, bytes.length)
    this.bytes.set(bytes, at)
  }

  private get bytes(): Uint8Array {
    if (this.xdp !== undefined) return this.xdp.bytes
    return this.skb === undefined ? fault('this program type has no packet') : this.skb.bytes
  }

  private get start(): number {
    return this.xdp !== undefined ? this.xdp.data : (this.skb?.start ?? 0)
  }

  private readable(offset: number, size: number): number {
    if (this.access === undefined) fault('no direct packet access for this program type')
    if (!this.has(offset, size)) this.outside('read', offset, size)
    return this.start + offset
  }

  private writable(offset: number, size: number): number {
    if (this.access !== 'write') fault('cannot write into packet')
    if (!this.has(offset, size)) this.outside('write', offset, size)
    return this.start + offset
  }

  private outside(verb: 'read' | 'write', offset: number, size: number): never {
    const bytes = size === 1 ? '1 byte' : `${size} bytes`
    const what = offset < 0 ? 'metadata' : 'packet'
    const valid = offset < 0 ? this.metaLength : this.length
    return fault(`invalid ${verb} of ${bytes}: ${what}: offset ${offset}, valid size is ${valid}`)
  }
}
