// What programs may ask of the kernel (KernelServices of src/bpf/contract.ts), bound to one packet on one device.
import type { FibAnswer, FibLookup, KernelServices, SocketHandle } from '../bpf/contract.ts'
import { type IpAddress, ipv4From } from '../net/address.ts'
import { ipProtocol } from '../net/protocol.ts'
import { monotonic } from './clock.ts'
import type { NetDevice } from './device/device.ts'
import { flowHash, flowNumber } from './flow-hash.ts'
import { bpfFibLookup } from './ip/bpf-fib.ts'
import { cloneRedirect } from './redirect.ts'
import type { Skb } from './skb.ts'
import { lookupTcp, lookupUdp } from './socket/lookup.ts'
import type { Socket } from './socket/socket.ts'

class Services implements KernelServices {
  readonly cpu = 0
  private readonly dev: NetDevice
  private readonly skb: Skb
  /** How many random numbers this run has drawn: each is another one. */
  private draws = 0
  /** The flow that the draws of this run belong to, as it was at the first one. */
  private drawFor: number | undefined

  constructor(dev: NetDevice, skb: Skb) {
    this.dev = dev
    this.skb = skb
  }

  nowNs(): number {
    return monotonic(this.dev.ns.machine.clock.now)
  }

  random32(): number {
    this.draws += 1
    this.drawFor ??= flowNumber(this.skb)
    return this.dev.ns.machine.random('bpf_get_prandom_u32', this.drawFor * 64 + this.draws)
  }

  fibLookup(request: FibLookup, flags: number): FibAnswer {
    return bpfFibLookup(this.dev.ns, request, flags)
  }

  cloneRedirect(ifindex: number, flags: number): number {
    return cloneRedirect(this.skb, { ifindex, flags })
  }

  deviceMtu(ifindex: number): number | undefined {
    return this.dev.ns.devices.get(ifindex)?.mtu
  }

  flowHash(): number {
    return flowHash(this.skb)
  }

  netnsCookie(): number {
    return this.skb.sk?.ns.cookie ?? initNamespaceCookie
  }

  lookupSocket(tuple: SocketTuple): SocketHandle | undefined {
    const { ns } = this.dev
    const local = addressOf(tuple.family, tuple.destination)
    const remote = addressOf(tuple.family, tuple.source)
    const wanted = {
      local,
      localPort: tuple.dport,
      remote,
      remotePort: tuple.sport,
      ifindex: this.dev.ifindex,
    }
    return tuple.protocol === ipProtocol.udp ? lookupUdp(ns, wanted) : lookupTcp(ns, wanted)
  }

  assignSocket(socket: SocketHandle | undefined): number {
    if (socket === undefined) return -errno.noEntry
    // Handles are made by lookupSocket only: they are this kernel's sockets.
    const found = socket as Socket
    if (found.ns !== this.dev.ns) return -errno.unreachable
    this.skb.sk = found
    this.skb.skAssigned = true
    return 0
  }
}

/** include/uapi/asm-generic/errno-base.h, as bpf_sk_assign answers. */
const errno = { noEntry: 2, unreachable: 101 } as const

type SocketTuple = Parameters<KernelServices['lookupSocket']>[0]

function addressOf(family: 4 | 6, words: readonly number[]): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0] = words
  return family === 4 ? ipv4From(a) : [a, b, c, d]
}

/** init_net's cookie on Linux 6.18 (facts: linux 10.10). */
const initNamespaceCookie = 3

/** The services for one run on a device. */
export function servicesFor(dev: NetDevice, skb: Skb): KernelServices {
  return new Services(dev, skb)
}
