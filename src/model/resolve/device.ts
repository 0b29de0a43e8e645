// Devices as the machine makes them.
import type { Report } from '../../base/diagnostic.ts'
import { zeroMac } from '../../net/mac.ts'
import { withLinkLocal } from '../../net/prefix.ts'
import { etherType } from '../../net/protocol.ts'
import type { Attachment, DeviceOptionName, Word } from '../../syntax/ast.ts'
import type { AttachmentModel, DeviceModel } from '../device-model.ts'
import { defined } from '../words/defined.ts'
import { durationIn, integerOf, numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import { sysctlIn } from '../words/sysctls.ts'
import type { DeviceDraft, HostDraft } from '../world/entities.ts'
import { hasMac, netkitOf } from './netkit.ts'
import { qdiscOf } from './qdisc.ts'
import type { Scope } from './scope.ts'
import { isTunnel, readTunnel, tunnelMtu } from './tunnel.ts'
import { optionsNotYet } from './unavailable.ts'

const macvlanModes = ['bridge', 'private', 'vepa', 'passthru'] as const

/** A device, or undefined for a kind that does not exist yet. Checks have already said what is wrong with it. */
export function readDeviceModel(draft: DeviceDraft, host: HostDraft, scope: Scope): DeviceModel | undefined {
  if (draft.kind === 'unavailable' || draft.kind === 'unknown') return undefined
  const { report } = scope
  missing(draft, report)
  const option = (name: DeviceOptionName): Word | undefined => optionValue(draft.options, name)
  const peer = draft.kind === 'veth' || draft.kind === 'netkit' ? draft.peer : undefined
  const mac = hasMac(draft, scope) ? draft.mac : zeroMac
  const netkit = netkitOf(draft, scope)
  const master = option('master')?.text
  const stacked = draft.kind === 'vlan' || draft.kind === 'macvlan' || isTunnel(draft)
  const lower = stacked ? option('dev')?.text : undefined
  const mode = macvlanModes.find((each) => each === (option('mode')?.text ?? 'vepa'))
  const driver = option('driver')?.text
  const id = draft.kind === 'vlan' ? option('id') : undefined
  const vlanId = id === undefined ? undefined : numberIn(id, ranges.vlan, report)
  const own = draft.addresses.map(({ prefix }) => prefix)
  return {
    name: draft.name,
    kind: draft.kind,
    mac,
    mtu: mtuOf(draft, host, report, 0),
    up: optionOf(draft.options, 'down') === undefined,
    addresses: draft.kind === 'lo' ? own : withLinkLocal(own, mac),
    hairpin: isSet(draft.options, 'hairpin'),
    isolated: isSet(draft.options, 'isolated'),
    ...bridgeSettings(draft, report),
    ...offloadsOf(draft),
    ...qdiscOf(draft.syntax?.qdiscs ?? [], report),
    attachments: (draft.syntax?.attachments ?? []).flatMap((each) => readAttachment(each, scope) ?? []),
    sysctls: sysctlsOf(draft, host, report),
    span: draft.span,
    ...(draft.net === undefined ? {} : { segment: draft.net }),
    ...(driver === undefined ? {} : { driver }),
    ...(peer === undefined ? {} : { peer: { namespace: peer.host, device: peer.device } }),
    ...(netkit === undefined ? {} : { netkit }),
    ...(master === undefined ? {} : { master }),
    ...(lower === undefined ? {} : { lower }),
    ...(vlanId === undefined ? {} : { vlanId, vlanProtocol: vlanProtocolOf(option('protocol')) }),
    ...(draft.kind === 'macvlan' && mode !== undefined ? { macvlanMode: mode } : {}),
    ...(isTunnel(draft) ? { tunnel: readTunnel(draft, scope) } : {}),
  }
}

/** Options that the kernel has and this one does not; a switch that is off says nothing new. */
function missing({ options, kind }: DeviceDraft, report: Report): void {
  optionsNotYet(options, ['queues', 'txqlen', 'name', 'group', 'l2miss', 'l3miss', 'gbp'], report)
  const switches = options.filter((each) => isSet([each], each.name))
  optionsNotYet(switches, ['stp', 'vlan-filtering', 'neigh-suppress'], report)
  if (kind === 'vxlan') optionsNotYet(options, ['ageing'], report)
}

/** `offload tso on`: the last word about each counts. */
function offloadsOf({ options }: DeviceDraft): Pick<DeviceModel, 'tso' | 'gro'> {
  const said = (feature: 'tso' | 'gro'): boolean | undefined => {
    const state = options.findLast(({ name, values }) => name === 'offload' && values[0]?.text === feature)
      ?.values[1]?.text
    return state === undefined ? undefined : state === 'on' || state === 'true'
  }
  return defined({ tso: said('tso'), gro: said('gro') })
}

/** What a bridge and its ports have beyond the defaults. */
function bridgeSettings(
  draft: DeviceDraft,
  report: Report,
): Pick<DeviceModel, 'flood' | 'learning' | 'ageing'> {
  const { options } = draft
  const isPort = optionOf(options, 'master') !== undefined
  const isQuiet = optionOf(options, 'flood') !== undefined && !isSet(options, 'flood')
  const isDeaf = optionOf(options, 'nolearning') !== undefined && draft.kind !== 'vxlan'
  const word = draft.kind === 'bridge' ? optionValue(options, 'ageing') : undefined
  return defined({
    flood: isPort && isQuiet ? false : undefined,
    learning: isPort && isDeaf ? false : undefined,
    ageing: word === undefined ? undefined : durationIn(word, report),
  })
}

/** 1500 bytes unless given; a device on top of another one has the lower one's. */
function mtuOf(draft: DeviceDraft, host: HostDraft, report: Report, depth: number): number {
  const word = optionValue(draft.options, 'mtu')
  const given = word === undefined ? undefined : numberIn(word, ranges.mtu, report)
  if (isTunnel(draft)) {
    return tunnelMtu(draft, host, given, (below) =>
      depth > 8 ? 1500 : mtuOf(below, host, report, depth + 1),
    )
  }
  if (given !== undefined) return given
  const lower = optionValue(draft.options, 'dev')?.text
  const below = lower === undefined || depth > 8 ? undefined : host.devices.get(lower)
  if (below !== undefined && (draft.kind === 'vlan' || draft.kind === 'macvlan')) {
    return mtuOf(below, host, report, depth + 1)
  }
  return draft.kind === 'lo' ? 65536 : 1500
}

function sysctlsOf(draft: DeviceDraft, host: HostDraft, report: Report): DeviceModel['sysctls'] {
  return (draft.syntax?.sysctls ?? []).flatMap((item) =>
    sysctlIn(item, { device: draft.name, devices: host.devices.keys() }, report).map(({ key, value }) => ({
      key,
      value,
      span: item.span,
    })),
  )
}

function vlanProtocolOf(word: Word | undefined): number {
  const text = word?.text.toLowerCase()
  return text === '802.1ad' ? etherType.qinq : etherType.vlan
}

/** Protocols of a clsact filter; undefined: all. */
export const filterProtocols: Readonly<Record<string, number | undefined>> = {
  all: undefined,
  ip: etherType.ipv4,
  ipv4: etherType.ipv4,
  ipv6: etherType.ipv6,
  arp: etherType.arp,
  '802.1q': etherType.vlan,
}

/** The unique name of the program that a statement of some file means. */
export function programNameOf(word: Word, { entities }: Scope): string | undefined {
  return entities.linked.programNames.get(word.span.source.name)?.get(word.text)?.name
}

function readAttachment(item: Attachment, scope: Scope): AttachmentModel | undefined {
  const { report } = scope
  const program = programNameOf(item.program, scope)
  const hook = hooks.find((each) => each === item.hook)
  if (program === undefined || hook === undefined) return undefined
  const number = (name: 'pref' | 'handle'): number | undefined => {
    const word = optionValue(item.options, name)
    return word === undefined ? undefined : numberIn(word, ranges.u32, report)
  }
  const [pref, handle] = [number('pref'), number('handle')]
  const protocol = filterProtocols[optionValue(item.options, 'protocol')?.text.toLowerCase() ?? 'all']
  const classid = classidOf(optionValue(item.options, 'classid'))
  const action = actionOf(item)
  const mode = modeOf(item)
  const position = positionOf(item, scope)
  return {
    hook,
    program,
    classic: isSet(item.options, 'classic'),
    span: item.span,
    ...(mode === undefined ? {} : { mode }),
    ...(pref === undefined ? {} : { pref }),
    ...(handle === undefined ? {} : { handle }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(classid === undefined ? {} : { classid }),
    ...(action === undefined ? {} : { action }),
    ...(position === undefined ? {} : { position }),
  }
}

/** `native`, `generic` or `offload`, written or from a variable; undefined where none is given, or a wrong one. */
export function modeOf({ mode, modeVariable }: Attachment): AttachmentModel['mode'] {
  return mode ?? xdpModes.find((each) => each === modeVariable?.text)
}

/** The ways to attach an XDP program. */
export const xdpModes = ['native', 'generic', 'offload'] as const

/** `action drop`, `action pass`, `action mirror DEV`, `action redirect DEV`. */
function actionOf(item: Attachment): AttachmentModel['action'] {
  const [verb, device] = optionOf(item.options, 'action')?.values ?? []
  switch (verb?.text) {
    case 'drop':
    case 'pass':
      return { kind: verb.text }
    case 'mirror':
    case 'redirect':
      return device === undefined ? undefined : { kind: verb.text, device: device.text }
    default:
      return undefined
  }
}

const hooks = ['xdp', 'tc-in', 'tc-out', 'tcx-in', 'tcx-out', 'netkit-primary', 'netkit-peer'] as const

function positionOf(item: Attachment, scope: Scope): AttachmentModel['position'] {
  for (const kind of ['before', 'after'] as const) {
    const word = optionValue(item.options, kind)
    const program = word === undefined ? undefined : programNameOf(word, scope)
    if (program !== undefined) return { kind, program }
  }
  for (const kind of ['first', 'last'] as const) if (isSet(item.options, kind)) return { kind }
  return undefined
}

/** `1:10` with both halves in hexadecimal, as tc(8) writes it, or a number. */
function classidOf(word: Word | undefined): number | undefined {
  if (word === undefined) return undefined
  const [major, minor] = word.text.split(':')
  if (major !== undefined && minor !== undefined) {
    return ((Number.parseInt(major || '0', 16) << 16) | Number.parseInt(minor || '0', 16)) >>> 0
  }
  return integerOf(word.text)
}
