// struct ct_entry of Cilium 1.10: counters for each direction, the device of a NodePort. 56 bytes, as in 1.19, and the
// second half is the same. bpf/lib/common.h
import { readLe16, writeLe16 } from '../../bpf/context/byte-order.ts'
import { CtEntry, readLe64, writeLe64 } from '../maps/ct-entry.ts'

const at = { rx_packets: 0, rx_bytes: 8, tx_packets: 16, tx_bytes: 24, ifindex: 40 } as const

/** A live entry; what it shares with 1.19 (lifetime, bits, flags seen, identity, reports) is inherited. */
export class LegacyCtEntry extends CtEntry {
  get rxPackets(): number {
    return readLe64(this.raw, at.rx_packets)
  }

  set rxPackets(value: number) {
    writeLe64(this.raw, at.rx_packets, value)
  }

  /** In entries of services: the backend. */
  get rxBytes(): number {
    return readLe64(this.raw, at.rx_bytes)
  }

  set rxBytes(value: number) {
    writeLe64(this.raw, at.rx_bytes, value)
  }

  get txPackets(): number {
    return readLe64(this.raw, at.tx_packets)
  }

  set txPackets(value: number) {
    writeLe64(this.raw, at.tx_packets, value)
  }

  get txBytes(): number {
    return readLe64(this.raw, at.tx_bytes)
  }

  set txBytes(value: number) {
    writeLe64(this.raw, at.tx_bytes, value)
  }

  get ifindex(): number {
    return readLe16(this.raw, at.ifindex)
  }

  set ifindex(value: number) {
    writeLe16(this.raw, at.ifindex, value)
  }
}
