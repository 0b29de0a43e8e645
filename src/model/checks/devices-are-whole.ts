// A device has what its kind needs, and no option that its kind would ignore.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { DeviceOptionName, Option, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import { isPrimary, netkitModes, netkitPolicies, netkitScrubs } from '../resolve/netkit.ts'
import type { Scope } from '../resolve/scope.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { optionOf, optionValue } from '../words/options.ts'
import type { DeviceDraft, DraftKind, HostDraft } from '../world/entities.ts'

/** IFNAMSIZ without its final zero. */
const nameLengthMax = 15

const everyDevice: readonly DeviceOptionName[] = ['mac', 'mtu', 'down', 'master', 'txqlen', 'queues', 'name']
/** Options of a bridge's port, on the device that is the port. */
const portOptions: readonly DeviceOptionName[] = [
  'hairpin',
  'isolated',
  'flood',
  'learning',
  'nolearning',
  'neigh-suppress',
]

const ownOptions: Readonly<Partial<Record<DraftKind, readonly DeviceOptionName[]>>> = {
  phys: ['driver', 'offload'],
  veth: ['peer', 'offload'],
  netkit: ['peer', 'mode', 'policy', 'scrub'],
  bridge: ['stp', 'ageing', 'vlan-filtering'],
  vlan: ['id', 'dev', 'protocol'],
  macvlan: ['dev', 'mode'],
  dummy: [],
  vxlan: [
    'id',
    'vni',
    'remote',
    'local',
    'dstport',
    'srcport',
    'dev',
    'external',
    'learning',
    'nolearning',
    'ttl',
    'tos',
    'df',
    'udpcsum',
    'noudpcsum',
    'proxy',
    'group',
    'l2miss',
    'l3miss',
    'gbp',
    'ageing',
  ],
  geneve: ['id', 'vni', 'remote', 'dstport', 'external', 'ttl', 'tos', 'df', 'udpcsum', 'noudpcsum'],
  ipip: ['remote', 'local', 'dev', 'external', 'ttl', 'tos', 'nopmtudisc'],
  lo: [],
}

/** Kinds, options, masters and lower devices. */
export function devicesAreWhole({ entities }: WorldDraft, report: Report): void {
  for (const host of entities.hosts.values()) {
    for (const device of host.devices.values()) {
      if (device.syntax === undefined) continue
      shape(device, report)
      if (device.kind === 'netkit') netkitShape(device, { entities, report })
      options(device, report)
      others(device, host, report)
    }
  }
}

function shape(device: DeviceDraft, report: Report): void {
  const { name, kind, span, syntax } = device
  if (name.length > nameLengthMax) {
    const hint = `the kernel allows ${nameLengthMax} characters`
    report(mistake('S125', span, `\`${name}\` is too long for a device`, { hint }))
  }
  if (kind === 'unknown') {
    report(
      mistake('S125', span, `it is not said what kind of device \`${name}\` is`, {
        hint: '`on NET`, `peer HOST/DEV`, or a kind such as `bridge` or `dummy`',
      }),
    )
  }
  if (device.net !== undefined && kind !== 'phys' && kind !== 'unavailable') {
    report(
      mistake('S125', syntax?.net?.span ?? span, `a ${kind} is not plugged into a net`, {
        hint: 'only a phys device is',
      }),
    )
  }
  if ((kind === 'veth' || kind === 'netkit') && device.peer === undefined) {
    report(mistake('S125', span, `\`${name}\` has no other end`, { hint: 'add `peer HOST/DEV`' }))
  }
  if (kind === 'lo' && name !== 'lo') {
    report(
      mistake('S125', span, 'the loopback device is called `lo`', {
        hint: 'a `dummy` device takes any name',
      }),
    )
  }
  if (kind === 'vxlan' || kind === 'geneve') tunnelShape(device, report)
  const needed: readonly DeviceOptionName[] =
    kind === 'vlan' ? ['dev', 'id'] : kind === 'macvlan' ? ['dev'] : []
  for (const option of needed) {
    if (optionValue(device.options, option) !== undefined) continue
    report(
      mistake('S125', span, `a ${kind} device needs \`${option}\``, {
        hint: kind === 'vlan' ? '`vlan dev eth0 id 100`' : '`macvlan dev eth0`',
      }),
    )
  }
}

/** Words of a netkit pair; mode is the primary device's. */
function netkitShape(device: DeviceDraft, scope: Pick<Scope, 'entities' | 'report'>): void {
  const { report } = scope
  const check = (name: 'mode' | 'policy' | 'scrub', words: readonly string[]): void => {
    const word = optionValue(device.options, name)
    if (word === undefined || words.includes(word.text)) return
    const hint = didYouMean(word.text, words) ?? `one of ${words.join(', ')}`
    report(mistakeIn('S137', word, `there is no netkit ${name} \`${word.text}\``, { hint }))
  }
  check('mode', netkitModes)
  check('policy', Object.keys(netkitPolicies))
  check('scrub', netkitScrubs)
  const mode = optionOf(device.options, 'mode')
  if (mode !== undefined && !isPrimary(device, scope))
    report(wrong(mode, 'the mode is said at the primary device', 'the one that says `netkit`'))
  const mac = optionOf(device.options, 'mac')
  if (mac !== undefined && isPrimary(device, scope) && optionValue(device.options, 'mode')?.text !== 'l2')
    report(wrong(mac, 'a netkit device of mode l3 has no MAC address', '`mode l2`, or leave `mac` out'))
}

/** A tunnel has a VNI, or its packets bring one; Geneve has no forwarding table, so it needs its remote. */
function tunnelShape({ kind, name, span, options: given }: DeviceDraft, report: Report): void {
  const [, again] = given.filter(
    (each) => each.name === 'id' || each.name === 'vni' || each.name === 'external',
  )
  if (again !== undefined)
    report(wrong(again, 'its VNI is said already', 'one of `id`, `vni` and `external`'))
  if (optionOf(given, 'external') !== undefined) return
  if (optionValue(given, 'id') === undefined && optionValue(given, 'vni') === undefined) {
    const hint = `\`${kind} id 42\`, or \`external\` where programs set the tunnel key`
    report(mistake('S125', span, `\`${name}\` has no VNI`, { hint }))
  }
  if (kind === 'geneve' && optionValue(given, 'remote') === undefined) {
    report(
      mistake('S125', span, 'a geneve device needs `remote`', { hint: '`geneve id 42 remote 192.168.5.12`' }),
    )
  }
}

function options(device: DeviceDraft, report: Report): void {
  const own = ownOptions[device.kind]
  if (own === undefined) return
  const isPort = optionOf(device.options, 'master') !== undefined
  for (const option of device.options) {
    if (everyDevice.includes(option.name) || own.includes(option.name)) continue
    if (portOptions.includes(option.name)) {
      if (isPort) continue
      report(wrong(option, `\`${option.name}\` is for ports of a bridge`, 'add `master BRIDGE`'))
    } else report(wrong(option, `a ${device.kind} device has no \`${option.name}\``, optionHint(own)))
  }
}

function optionHint(own: readonly string[]): string {
  const names = [...own, ...everyDevice].map((name) => `\`${name}\``)
  return `it has ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

function wrong(option: Option, message: string, hint: string): ReturnType<typeof mistake> {
  return mistake('S125', option.span, message, { hint })
}

const modes: readonly string[] = ['bridge', 'private', 'vepa', 'passthru']
const tags: readonly string[] = ['802.1q', '802.1ad']

function others(device: DeviceDraft, host: HostDraft, report: Report): void {
  const master = optionValue(device.options, 'master')
  if (master !== undefined && host.devices.get(master.text)?.kind !== 'bridge') {
    const bridges = [...host.devices.values()].filter(({ kind }) => kind === 'bridge').map(({ name }) => name)
    const hint = didYouMean(master.text, bridges) ?? `declare it with \`dev ${master.text} bridge\``
    report(mistakeIn('S103', master, `\`${host.name}\` has no bridge \`${master.text}\``, { hint }))
  }
  const lower = optionValue(device.options, 'dev')
  if (lower !== undefined && (!host.devices.has(lower.text) || lower.text === device.name)) {
    const hint = didYouMean(
      lower.text,
      [...host.devices.keys()].filter((name) => name !== device.name),
    )
    report(mistakeIn('S103', lower, `\`${host.name}\` has no device \`${lower.text}\``, { hint }))
  }
  const mode = device.kind === 'macvlan' ? optionValue(device.options, 'mode') : undefined
  if (mode !== undefined && !modes.includes(mode.text)) {
    const hint = didYouMean(mode.text, modes) ?? `one of ${modes.join(', ')}`
    report(mistakeIn('S137', mode, `there is no macvlan mode \`${mode.text}\``, { hint }))
  }
  if (mode?.text === 'passthru') alone(device, mode, host, report)
  const tag = device.kind === 'vlan' ? optionValue(device.options, 'protocol') : undefined
  if (tag !== undefined && !tags.includes(tag.text.toLowerCase())) {
    report(mistakeIn('S137', tag, `there is no VLAN protocol \`${tag.text}\``, { hint: '802.1Q or 802.1ad' }))
  }
}

/** A passthru device takes over the lower one: its address, and all that arrives (EINVAL beside another macvlan). */
function alone(device: DeviceDraft, mode: Word, host: HostDraft, report: Report): void {
  const lower = optionValue(device.options, 'dev')?.text
  const other = [...host.devices.values()].find(
    (each) => each !== device && each.kind === 'macvlan' && optionValue(each.options, 'dev')?.text === lower,
  )
  if (other !== undefined) {
    const hint = `\`${other.name}\` stands on \`${lower}\` as well; use \`mode bridge\``
    report(mistakeIn('S125', mode, 'a passthru macvlan must be alone', { hint }))
  }
  const mac = optionOf(device.options, 'mac')
  if (mac !== undefined)
    report(wrong(mac, 'a passthru macvlan has the address of its lower device', 'leave `mac` out'))
}
