// What is asked of devices by their names, in the namespace that this process is in: ioctl(2) with struct ifreq.
import type { Libc, Memory } from './native.ts'

const ioctlNumber = { index: 0x8933, flags: 0x8913, setFlags: 0x8914, ethtool: 0x8946 } as const
const flag = { up: 0x1, running: 0x40 } as const
const socketKind = { inet: 2, datagram: 2 } as const

/** ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SGRO */
export const ethtool = { getTxChecksum: 0x16, setTxChecksum: 0x17, setGro: 0x2c } as const

export class Interfaces {
  private readonly libc: Libc
  private readonly memory: Memory

  /** `memory` has room for struct ifreq and struct ethtool_value. */
  constructor(libc: Libc, memory: Memory) {
    this.libc = libc
    this.memory = memory
  }

  /** SIOCGIFINDEX; 0 when there is no such device. */
  index(device: string): number {
    return this.ask(device, ioctlNumber.index).getInt32(16, true)
  }

  /** IFF_RUNNING. */
  isRunning(device: string): boolean {
    return (this.flags(device) & flag.running) !== 0
  }

  /** Puts a device up or down; false when it stays as it was. */
  setUp(device: string, up: boolean): boolean {
    const wanted = up ? this.flags(device) | flag.up : this.flags(device) & ~flag.up
    this.ask(device, ioctlNumber.setFlags, BigInt(wanted))
    return ((this.flags(device) ^ wanted) & flag.up) === 0
  }

  private flags(device: string): number {
    return this.ask(device, ioctlNumber.flags).getUint16(16, true)
  }

  /** struct ethtool_value through SIOCETHTOOL. */
  ethtool(device: string, command: number, value: number): void {
    const { memory } = this
    memory.view.setUint32(48, command, true)
    memory.view.setUint32(52, value, true)
    this.ask(device, ioctlNumber.ethtool, memory.address + 48n)
  }

  private ask(device: string, request: number, pointer = 0n): DataView {
    const { libc, memory } = this
    memory.bytes.fill(0, 0, 40)
    memory.bytes.set(new TextEncoder().encode(device), 0)
    memory.view.setBigUint64(16, pointer, true)
    const socket = libc.socket(socketKind.inet, socketKind.datagram, 0)
    libc.ioctl(socket, request, memory.address)
    libc.close(socket)
    return memory.view
  }
}
