// What is asked of devices by their names, in the namespace that this process is in: ioctl(2) with struct ifreq.
import type { Libc, Memory } from './native.ts'

const ioctlNumber = { index: 0x8933, flags: 0x8913, ethtool: 0x8946 } as const
const running = 0x40
const socketKind = { inet: 2, datagram: 2 } as const

/** ETHTOOL_STXCSUM, ETHTOOL_SGRO */
export const ethtool = { setTxChecksum: 0x17, setGro: 0x2c } as const

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
    return (this.ask(device, ioctlNumber.flags).getUint16(16, true) & running) !== 0
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
