// `ip [-4|-6] [-br] addr`, as iproute2 6.1 prints it.
import { formatIp, isIpv4 } from '../../net/address.ts'
import type { NetDevice } from '../device/device.ts'
import { scopeNames } from '../ip/list.ts'
import { addressesOf } from '../ip/source.ts'
import type { InterfaceAddress } from '../ip/state.ts'
import type { BpfObjects } from './bpf-objects.ts'
import { addressLine, briefHead, headLine, netnsWords } from './ip-link.ts'

export interface AddressOptions {
  /** `-4`, `-6`; undefined shows both and the link. */
  readonly family: 4 | 6 | undefined
  readonly brief: boolean
  readonly objects: BpfObjects
}

function addressLines(own: InterfaceAddress): readonly string[] {
  const scope = scopeNames.get(own.scope) ?? String(own.scope)
  const isFour = isIpv4(own.address)
  const words = [
    `    ${isFour ? 'inet' : 'inet6'} ${formatIp(own.address)}/${own.length}`,
    ...(own.broadcast === undefined ? [] : [`brd ${formatIp(own.broadcast)}`]),
    `scope ${scope}`,
    ...(own.secondary ? ['secondary'] : []),
    isFour ? own.device.name : '',
  ]
  return [words.join(' '), '       valid_lft forever preferred_lft forever']
}

function deviceLines(dev: NetDevice, options: AddressOptions): readonly string[] {
  const families = options.family === undefined ? ([4, 6] as const) : [options.family]
  const addresses = families.flatMap((family) => addressesOf(dev, family))
  if (options.family !== undefined && addresses.length === 0) return []
  if (options.brief) {
    const texts = addresses.map(({ address, length }) => `${formatIp(address)}/${length} `)
    return [`${briefHead(dev)}${texts.join('')}`]
  }
  const head = `${headLine(dev, { objects: options.objects, id: true })} group default qlen 1000`
  const link = options.family === undefined ? [head, addressLine(dev)] : [`${head}${netnsWords(dev)}`]
  return [...link, ...addresses.flatMap(addressLines)]
}

/** `ip addr` of these devices. */
export function showAddresses(devices: readonly NetDevice[], options: AddressOptions): string {
  return devices
    .flatMap((dev) => deviceLines(dev, options))
    .map((line) => `${line}\n`)
    .join('')
}
