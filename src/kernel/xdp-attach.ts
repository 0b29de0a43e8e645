// Attaching XDP programs, with the kernel's refusals (net/core/dev.c dev_xdp_attach, drivers/net/veth.c veth_xdp_set).
import type { Program } from '../bpf/contract.ts'
import { type AdminResult, adminDone, refused, xdpMtuMax } from './device/change.ts'
import type { NetDevice } from './device/device.ts'
import { driverSupport } from './device/drivers.ts'
import { driverOf } from './device/phys.ts'
import type { XdpMode } from './xdp.ts'

function supported(since: number | undefined, dev: NetDevice): boolean {
  return since !== undefined && dev.ns.kernelVersion >= since
}

/** veth got native XDP in 4.19. */
const vethSince = 4019

function nativeRefusal(dev: NetDevice): string | undefined {
  if (dev.kind === 'veth') {
    if (!supported(vethSince, dev)) return 'EOPNOTSUPP'
    return dev.peer !== undefined && dev.peer.mtu > xdpMtuMax ? 'ERANGE' : undefined
  }
  if (dev.kind !== 'phys') return 'EOPNOTSUPP'
  if (!supported(driverSupport(driverOf(dev))?.native, dev)) return 'EOPNOTSUPP'
  return dev.mtu > xdpMtuMax ? 'EINVAL' : undefined
}

function refusal(dev: NetDevice, mode: XdpMode): string | undefined {
  switch (mode) {
    case 'native':
      return nativeRefusal(dev)
    case 'offload':
      if (dev.kind !== 'phys') return 'EOPNOTSUPP'
      return supported(driverSupport(driverOf(dev))?.offload, dev) ? undefined : 'EOPNOTSUPP'
    case 'generic':
      return undefined
  }
}

/**
 * `ip link set DEV xdp...`: one program per device. EINVAL: not an XDP program; EEXIST: a program in another mode is
 * there; EBUSY: one in the same mode is there; EOPNOTSUPP: the driver cannot; ERANGE: the far end's MTU is above 3506.
 */
export function attachXdp(dev: NetDevice, program: Program, mode: XdpMode): AdminResult {
  if (program.type !== 'xdp') return refused('EINVAL')
  if (dev.xdp !== undefined) return refused(dev.xdp.mode === mode ? 'EBUSY' : 'EEXIST')
  const errno = refusal(dev, mode)
  if (errno !== undefined) return refused(errno)
  dev.xdp = { program, mode }
  return adminDone
}

/** `ip link set DEV xdp off`. ENOENT when there is none. */
export function detachXdp(dev: NetDevice): AdminResult {
  if (dev.xdp === undefined) return refused('ENOENT')
  dev.xdp = undefined
  return adminDone
}
