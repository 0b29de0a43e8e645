// struct ipv4_nat_entry and ipv6_nat_entry: the value of the SNAT maps of Cilium 1.19. lib/nat.h
import { readU16, writeU16 } from '../../net/bytes.ts'
import type { Address, Family } from '../datapath/family.ts'
import { readLe64, writeLe64 } from './ct-entry.ts'
import { nat4ValueBytes, nat6ValueBytes } from './specs.ts'

const at = { created: 0, needs_ct: 8, to_addr: 32 } as const

/** A live entry: over the bytes of a map's value, setters change the map. */
export class NatEntry {
  readonly family: Family
  readonly raw: Uint8Array

  constructor(
    family: Family,
    raw: Uint8Array = new Uint8Array(family.version === 4 ? nat4ValueBytes : nat6ValueBytes),
  ) {
    this.family = family
    this.raw = raw
  }

  /** Seconds of the monotonic clock. */
  get created(): number {
    return readLe64(this.raw, at.created)
  }

  set created(value: number) {
    writeLe64(this.raw, at.created, value)
  }

  /** Whether the connection has a conntrack entry of its own, made for the translation. */
  get needsCt(): boolean {
    return readLe64(this.raw, at.needs_ct) !== 0
  }

  set needsCt(value: boolean) {
    writeLe64(this.raw, at.needs_ct, value ? 1 : 0)
  }

  /** to_saddr of an OUT tuple, to_daddr of an IN tuple. A view: it changes with the entry. */
  get toAddress(): Address {
    return this.raw.subarray(at.to_addr, at.to_addr + this.family.addressBytes)
  }

  set toAddress(address: Address) {
    this.raw.set(address, at.to_addr)
  }

  /** to_sport or to_dport, host order. */
  get toPort(): number {
    return readU16(this.raw, at.to_addr + this.family.addressBytes)
  }

  set toPort(port: number) {
    writeU16(this.raw, at.to_addr + this.family.addressBytes, port)
  }
}
