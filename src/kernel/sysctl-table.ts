// The sysctls of one namespace. Only what differs from a fresh namespace is stored, so an unused table costs nothing.
//
// Per-device values follow the kernel: a device without a value of its own has the one of `default` (devinet.c
// devinet_copy_dflt_conf), and each sysctl says how `all` joins in: max (IN_DEV_MAXCONF), or (IN_DEV_ORCONF), and.
import { sysctlDefaults } from './sysctl.ts'

const perDevice = /^(net\.ipv[46]\.(?:conf|neigh))\.(.+)\.([a-z0-9_]+)$/

/** A name taken apart: `net.ipv4.conf.DEV.rp_filter` and `eth0`. */
interface DeviceName {
  readonly template: string
  readonly device: string
}

const taken = new Map<string, DeviceName | undefined>()

/** Taken apart once for each name: every case of a world sets the same ones. */
function deviceName(name: string): DeviceName | undefined {
  const known = taken.get(name)
  if (known !== undefined || taken.has(name)) return known
  const made = takeApart(name)
  taken.set(name, made)
  return made
}

function takeApart(name: string): DeviceName | undefined {
  const [, prefix, device, leaf] = perDevice.exec(name) ?? []
  if (prefix === undefined || device === undefined || leaf === undefined) return undefined
  return { template: `${prefix}.DEV.${leaf}`, device: device.replaceAll('/', '.') }
}

/** Writing `all` of these sets every device and `default` too (devinet.c inet_forward_change, addrconf.c). */
const allSetsEveryDevice: ReadonlySet<string> = new Set([
  'net.ipv4.conf.DEV.forwarding',
  'net.ipv6.conf.DEV.forwarding',
  'net.ipv6.conf.DEV.disable_ipv6',
])

const forwarding4 = 'net.ipv4.conf.DEV.forwarding'

/** Reads and writes by the names that `sysctl -w` takes; device names may have dots. */
export class SysctlTable {
  private global: Map<string, number> | undefined
  private devices: Map<string, Map<string, number>> | undefined

  /** Sets one value; false when this kernel does not know the name. */
  set(name: string, value: number): boolean {
    if (name === 'net.ipv4.ip_forward') return this.setDevice(forwarding4, 'all', value)
    if (sysctlDefaults[name] !== undefined) {
      this.global ??= new Map()
      this.global.set(name, value)
      return true
    }
    const parts = deviceName(name)
    return parts !== undefined && this.setDevice(parts.template, parts.device, value)
  }

  /** Whether this kernel has a value of this name. */
  knows(name: string): boolean {
    return (
      sysctlDefaults[name] !== undefined || sysctlDefaults[deviceName(name)?.template ?? ''] !== undefined
    )
  }

  /** A value that is not per device (`net.ipv4.ip_default_ttl`), or a full per-device name. */
  get(name: string): number {
    if (name === 'net.ipv4.ip_forward') return this.device(forwarding4, 'all')
    const value = this.global?.get(name) ?? sysctlDefaults[name]
    if (value !== undefined) return value
    const parts = deviceName(name)
    return parts === undefined ? 0 : this.device(parts.template, parts.device)
  }

  /** The value of one device: its own, else that of `default`, else the kernel's. `template` has DEV in it. */
  device(template: string, device: string): number {
    const values = this.devices?.get(template)
    if (values === undefined) return sysctlDefaults[template] ?? 0
    const own = values.get(device)
    if (own !== undefined) return own
    const fallback = device === 'all' ? undefined : values.get('default')
    return fallback ?? sysctlDefaults[template] ?? 0
  }

  /** The larger of `all` and the device's value (rp_filter, arp_ignore, arp_announce ...). */
  max(template: string, device: string): number {
    return Math.max(this.device(template, 'all'), this.device(template, device))
  }

  /** Whether `all` or the device has it on (proxy_arp, send_redirects, log_martians ...). */
  either(template: string, device: string): boolean {
    return this.device(template, 'all') !== 0 || this.device(template, device) !== 0
  }

  /** Whether `all` and the device have it on (accept_local is or; route_localnet is or; accept_redirects is and). */
  both(template: string, device: string): boolean {
    return this.device(template, 'all') !== 0 && this.device(template, device) !== 0
  }

  private setDevice(template: string, device: string, value: number): boolean {
    if (sysctlDefaults[template] === undefined) return false
    this.devices ??= new Map()
    let values = this.devices.get(template)
    if (values === undefined) {
      values = new Map()
      this.devices.set(template, values)
    }
    if (device === 'all' && allSetsEveryDevice.has(template)) {
      if (template === forwarding4) {
        // devinet_sysctl_forward(): what is so already changes nothing; a router accepts no redirects
        if (this.device(template, 'all') === value) return true
        this.setDevice('net.ipv4.conf.DEV.accept_redirects', 'all', value === 0 ? 1 : 0)
      }
      values.clear()
      values.set('default', value)
    }
    values.set(device, value)
    return true
  }
}
