// struct ipv4_ct_tuple and ipv6_ct_tuple: the key of conntrack and NAT maps. lib/common.h
//
// In conntrack maps the addresses of a stored entry are reversed: `saddr` is where the connection goes, `daddr` where it
// comes from, while the ports are named for the original direction (facts 3.1). NAT maps use the packet's own layout.
import { readU16, writeU16 } from '../../net/bytes.ts'
import { type Address, type Family, ipv4, ipv6 } from '../datapath/family.ts'
import { ct4KeyBytes, ct6KeyBytes } from './specs.ts'

export const tupleFlag = { OUT: 0, IN: 1, RELATED: 2, SERVICE: 4 } as const

/** A tuple as its bytes; setters write through. */
export class Tuple {
  readonly family: Family
  readonly bytes: Uint8Array

  constructor(
    family: Family,
    bytes: Uint8Array = new Uint8Array(family.version === 4 ? ct4KeyBytes : ct6KeyBytes),
  ) {
    this.family = family
    this.bytes = bytes
  }

  /** A tuple over the bytes of a key, whose length says the family. */
  static of(key: Uint8Array): Tuple {
    return new Tuple(key.length === ct4KeyBytes ? ipv4 : ipv6, key)
  }

  copy(): Tuple {
    return new Tuple(this.family, this.bytes.slice())
  }

  /** A view: it changes with the tuple. */
  get daddr(): Address {
    return this.bytes.subarray(0, this.family.addressBytes)
  }

  set daddr(address: Address) {
    this.bytes.set(address, 0)
  }

  /** A view: it changes with the tuple. */
  get saddr(): Address {
    return this.bytes.subarray(this.family.addressBytes, this.family.addressBytes * 2)
  }

  set saddr(address: Address) {
    this.bytes.set(address, this.family.addressBytes)
  }

  /** Port numbers, host order. */
  get dport(): number {
    return readU16(this.bytes, this.family.addressBytes * 2)
  }

  set dport(port: number) {
    writeU16(this.bytes, this.family.addressBytes * 2, port)
  }

  get sport(): number {
    return readU16(this.bytes, this.family.addressBytes * 2 + 2)
  }

  set sport(port: number) {
    writeU16(this.bytes, this.family.addressBytes * 2 + 2, port)
  }

  get nexthdr(): number {
    return this.bytes[this.family.addressBytes * 2 + 4] as number
  }

  set nexthdr(protocol: number) {
    this.bytes[this.family.addressBytes * 2 + 4] = protocol
  }

  get flags(): number {
    return this.bytes[this.family.addressBytes * 2 + 5] as number
  }

  set flags(flags: number) {
    this.bytes[this.family.addressBytes * 2 + 5] = flags
  }

  /** ipv4_ct_tuple_swap_addrs() */
  swapAddresses(): void {
    const source = this.saddr.slice()
    this.saddr = this.daddr
    this.daddr = source
  }

  /** ipv4_ct_tuple_swap_ports() */
  swapPorts(): void {
    const { sport } = this
    this.sport = this.dport
    this.dport = sport
  }
}
