// The words of a tunnel device: `dev vxlan0 vxlan id 42 remote 192.168.5.12 dev eth0`, as iproute2 takes them.
import { type IpAddress, isIpv4, parseIp } from '../../net/address.ts'
import { covers } from '../../net/prefix.ts'
import type { DeviceOptionName, Word } from '../../syntax/ast.ts'
import type { TunnelModel } from '../device-model.ts'
import { mistakeIn } from '../diagnose.ts'
import { looksLikeAddress } from '../words/addresses.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import type { DeviceDraft, HostDraft } from '../world/entities.ts'
import { hostNamed, type Scope } from './scope.ts'

/** Kinds of devices that wrap packets into others. */
export const tunnelKinds = ['vxlan', 'geneve', 'ipip'] as const
type TunnelKind = (typeof tunnelKinds)[number]

/** Whether a device is one of them. */
export function isTunnel(draft: DeviceDraft): draft is DeviceDraft & { readonly kind: TunnelKind } {
  return tunnelKinds.some((kind) => kind === draft.kind)
}

/** An address, or the first address of a host on a net. */
export function addressOrHost(word: Word, scope: Scope): IpAddress | undefined {
  const address = parseIp(word.text)
  if (address !== undefined) return address
  if (looksLikeAddress(word.text)) {
    scope.report(mistakeIn('S104', word, `\`${word.text}\` is not an address`))
    return undefined
  }
  const host = hostNamed(word, scope)
  const devices = [...(host?.devices.values() ?? [])]
  const outside = devices.find((device) => device.net !== undefined && device.addresses.length > 0)
  return (outside ?? devices.find((device) => device.addresses.length > 0))?.addresses[0]?.prefix.address
}

function numberOrInherit(word: Word | undefined, scope: Scope): number | 'inherit' {
  if (word === undefined) return 0
  return word.text === 'inherit' ? 'inherit' : (numberIn(word, ranges.u8, scope.report) ?? 0)
}

/** Reads the options of a tunnel device. Checks have said which of them its kind has. */
export function readTunnel(draft: DeviceDraft, scope: Scope): TunnelModel {
  const { report } = scope
  const { options } = draft
  const option = (name: DeviceOptionName): Word | undefined => optionValue(options, name)
  const address = (name: DeviceOptionName): IpAddress | undefined => {
    const word = option(name)
    return word === undefined ? undefined : addressOrHost(word, scope)
  }
  const id = option('id') ?? option('vni')
  const port = option('dstport')
  const [low, high] = optionOf(options, 'srcport')?.values ?? []
  const [remote, local] = [address('remote'), address('local')]
  const dstport = port === undefined ? undefined : numberIn(port, ranges.port, report)
  const first = low === undefined ? undefined : numberIn(low, ranges.port, report)
  const last = high === undefined ? undefined : numberIn(high, ranges.port, report)
  const df = option('df')?.text
  return {
    vni: id === undefined ? 0 : (numberIn(id, ranges.vni, report) ?? 0),
    external: isSet(options, 'external'),
    learning: optionOf(options, 'nolearning') === undefined,
    proxy: isSet(options, 'proxy'),
    udpcsum: optionOf(options, 'noudpcsum') === undefined,
    pathMtu: optionOf(options, 'nopmtudisc') === undefined,
    ttl: numberOrInherit(option('ttl'), scope),
    tos: numberOrInherit(option('tos'), scope),
    df: df === 'set' || df === 'inherit' ? df : 'unset',
    ...(remote === undefined ? {} : { remote }),
    ...(local === undefined ? {} : { local }),
    ...(dstport === undefined ? {} : { dstport }),
    ...(first === undefined || last === undefined ? {} : { srcport: { first, last } }),
  }
}

/** Bytes that the outer headers take from the MTU of the device below. */
function overhead(kind: TunnelKind, outer: 4 | 6): number {
  if (kind === 'ipip') return outer === 4 ? 20 : 40
  return outer === 4 ? 50 : 70
}

/**
 * The MTU of a tunnel device as Linux derives it: a vxlan looks at `dev` alone (facts: linux 7.6), and never has more;
 * geneve and ipip also at the device towards their remote. `mtuOf` gives that of the device below.
 */
export function tunnelMtu(
  draft: DeviceDraft & { readonly kind: TunnelKind },
  host: HostDraft,
  given: number | undefined,
  mtuOf: (below: DeviceDraft) => number,
): number {
  const word = optionValue(draft.options, 'remote') ?? optionValue(draft.options, 'local')
  const named = word === undefined ? undefined : parseIp(word.text)
  const bytes = overhead(draft.kind, named === undefined || isIpv4(named) ? 4 : 6)
  const lower = optionValue(draft.options, 'dev')?.text
  const below = lower === undefined ? undefined : host.devices.get(lower)
  const towards = draft.kind === 'vxlan' || named === undefined ? undefined : deviceTowards(host, named)
  const base = below ?? towards
  const most = base === undefined ? undefined : mtuOf(base) - bytes
  if (given !== undefined) return draft.kind === 'vxlan' ? Math.min(given, most ?? given) : given
  return most ?? (draft.kind === 'ipip' ? 1500 - bytes : 1500)
}

function deviceTowards(host: HostDraft, remote: IpAddress): DeviceDraft | undefined {
  return [...host.devices.values()].find(
    (device) => !isTunnel(device) && device.addresses.some(({ prefix }) => covers(prefix, remote)),
  )
}
