// What programs may ask of the kernel (KernelServices of src/bpf/contract.ts), bound to one packet on one device.
import type { FibAnswer, FibLookup, KernelServices, SocketHandle } from '../bpf/contract.ts'
import type { NetDevice } from './device/device.ts'
import { cloneRedirect } from './redirect.ts'
import type { Skb } from './skb.ts'

/** BPF_FIB_LKUP_RET_NOT_FWDED. */
const notForwarded = 4

class Services implements KernelServices {
  readonly cpu = 0
  private readonly dev: NetDevice
  private readonly skb: Skb
  /** How many random numbers this run has drawn: each is another one. */
  private draws = 0

  constructor(dev: NetDevice, skb: Skb) {
    this.dev = dev
    this.skb = skb
  }

  nowNs(): number {
    return this.dev.ns.machine.clock.now
  }

  random32(): number {
    this.draws += 1
    return this.dev.ns.machine.random('bpf_get_prandom_u32', this.flowHash() * 64 + this.draws)
  }

  fibLookup(_request: FibLookup, _flags: number): FibAnswer {
    return {
      code: notForwarded,
      ifindex: 0,
      gateway: [],
      sourceMac: 0,
      destinationMac: 0,
      mtu: 0,
      metric: 0,
      preferredSource: [],
    }
  }

  cloneRedirect(ifindex: number, flags: number): number {
    return cloneRedirect(this.skb, { ifindex, flags })
  }

  deviceMtu(ifindex: number): number | undefined {
    return this.dev.ns.devices.get(ifindex)?.mtu
  }

  flowHash(): number {
    return this.skb.hash
  }

  netnsCookie(): number {
    return this.skb.sk?.ns.cookie ?? initNamespaceCookie
  }

  lookupSocket(): SocketHandle | undefined {
    return undefined
  }

  assignSocket(_socket: SocketHandle | undefined): number {
    return -3
  }
}

/** init_net's cookie on Linux 6.18 (facts: linux 10.10). */
const initNamespaceCookie = 3

/** The services for one run on a device. */
export function servicesFor(dev: NetDevice, skb: Skb): KernelServices {
  return new Services(dev, skb)
}
