// struct ct_entry: the value of the conntrack maps of Cilium 1.19, 56 bytes. lib/conntrack.h
import { readLe16, readLe32, writeLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import { ctValueBytes } from './specs.ts'

const at = {
  nat_addr: 0,
  backend_id: 8,
  packets: 16,
  bytes: 24,
  lifetime: 32,
  bits: 36,
  rev_nat_index: 38,
  nat_port: 40,
  tx_flags_seen: 42,
  rx_flags_seen: 43,
  src_sec_id: 44,
  last_tx_report: 48,
  last_rx_report: 52,
} as const

/** The bit field, from its lowest bit. */
export const ctBit = {
  rx_closing: 1 << 0,
  tx_closing: 1 << 1,
  lb_loopback: 1 << 3,
  seen_non_syn: 1 << 4,
  node_port: 1 << 5,
  proxy_redirect: 1 << 6,
  dsr_internal: 1 << 7,
  from_l7lb: 1 << 8,
  from_tunnel: 1 << 10,
} as const

export type CtBit = keyof typeof ctBit

const natAddressLength = 16

/** An address as `nat_addr` holds it, a union v6addr of 16 bytes: that of IPv4 is its last word, `p4`. */
export function natAddressBytes(address: Uint8Array): Uint8Array {
  const whole = new Uint8Array(natAddressLength)
  whole.set(address, natAddressLength - address.length)
  return whole
}

/** The address of four or sixteen bytes that `nat_addr` holds. */
export function natAddressOf(whole: Uint8Array, addressLength: number): Uint8Array {
  return whole.slice(natAddressLength - addressLength)
}

const wordLimit = 0x1_0000_0000

/** A live entry: over the bytes of a map's value, setters change the map. Numbers are the machine's (little endian). */
export class CtEntry {
  readonly raw: Uint8Array

  constructor(raw: Uint8Array = new Uint8Array(ctValueBytes)) {
    this.raw = raw
  }

  is(bit: CtBit): boolean {
    return (this.bits & ctBit[bit]) !== 0
  }

  set(bit: CtBit, on: boolean): void {
    this.bits = on ? this.bits | ctBit[bit] : this.bits & ~ctBit[bit]
  }

  get bits(): number {
    return readLe16(this.raw, at.bits)
  }

  set bits(value: number) {
    writeLe16(this.raw, at.bits, value)
  }

  /** A u64; counts stay far below 2^53. */
  get packets(): number {
    return readLe64(this.raw, at.packets)
  }

  set packets(value: number) {
    writeLe64(this.raw, at.packets, value)
  }

  get bytes(): number {
    return readLe64(this.raw, at.bytes)
  }

  set bytes(value: number) {
    writeLe64(this.raw, at.bytes, value)
  }

  /** Seconds of the monotonic clock. */
  get lifetime(): number {
    return readLe32(this.raw, at.lifetime)
  }

  set lifetime(value: number) {
    writeLe32(this.raw, at.lifetime, value)
  }

  get backendId(): number {
    return readLe64(this.raw, at.backend_id)
  }

  set backendId(value: number) {
    writeLe64(this.raw, at.backend_id, value)
  }

  /** 16 bytes, as `natAddressBytes` has them. */
  get natAddress(): Uint8Array {
    return this.raw.subarray(at.nat_addr, at.nat_addr + natAddressLength)
  }

  set natAddress(value: Uint8Array) {
    this.raw.set(value, at.nat_addr)
  }

  get revNatIndex(): number {
    return readLe16(this.raw, at.rev_nat_index)
  }

  set revNatIndex(value: number) {
    writeLe16(this.raw, at.rev_nat_index, value)
  }

  get natPort(): number {
    return readU16(this.raw, at.nat_port)
  }

  set natPort(value: number) {
    writeU16(this.raw, at.nat_port, value)
  }

  get txFlagsSeen(): number {
    return this.raw[at.tx_flags_seen] as number
  }

  set txFlagsSeen(value: number) {
    this.raw[at.tx_flags_seen] = value
  }

  get rxFlagsSeen(): number {
    return this.raw[at.rx_flags_seen] as number
  }

  set rxFlagsSeen(value: number) {
    this.raw[at.rx_flags_seen] = value
  }

  get srcSecId(): number {
    return readLe32(this.raw, at.src_sec_id)
  }

  set srcSecId(value: number) {
    writeLe32(this.raw, at.src_sec_id, value)
  }

  get lastTxReport(): number {
    return readLe32(this.raw, at.last_tx_report)
  }

  set lastTxReport(value: number) {
    writeLe32(this.raw, at.last_tx_report, value)
  }

  get lastRxReport(): number {
    return readLe32(this.raw, at.last_rx_report)
  }

  set lastRxReport(value: number) {
    writeLe32(this.raw, at.last_rx_report, value)
  }
}

/** A little-endian u64 as a number. */
export function readLe64(bytes: Uint8Array, offset: number): number {
  return readLe32(bytes, offset) + readLe32(bytes, offset + 4) * wordLimit
}

/** Stores a number below 2^53 as a little-endian u64. */
export function writeLe64(bytes: Uint8Array, offset: number, value: number): void {
  writeLe32(bytes, offset, value % wordLimit)
  writeLe32(bytes, offset + 4, Math.floor(value / wordLimit))
}
