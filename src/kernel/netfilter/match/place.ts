// What the namespace knows of a packet beside its bytes: xt_physdev.c, xt_owner.c, xt_cpu.c, xt_realm.c.
import type { NetDevice } from '../../device/device.ts'
import type { MatchKind, MatchSpec } from '../extension.ts'
import { type DeviceName, deviceMatches } from '../header-match.ts'
import { bang, formatMasked, type Masked, parseMasked, parseNumber } from '../values.ts'
import { find, negatable, read, required, valueText } from './given.ts'

/** Bridge ports of a bridged packet; other packets have none. */
export interface BridgePorts {
  readonly in: NetDevice | undefined
  readonly out: NetDevice | undefined
}

function deviceName(text: string): DeviceName {
  const prefix = text.endsWith('+')
  return { name: prefix ? text.slice(0, -1) : text, prefix }
}

/** IFNAMSIZ less the closing zero. */
const deviceNameMax = 15

/** physdev_mt(): where a bridged packet has no port yet, it is on its way in and no other port can be told from its own. */
const physdev: MatchKind = {
  name: 'physdev',
  options: [
    negatable('--physdev-in'),
    negatable('--physdev-out'),
    { names: ['--physdev-is-in'], values: 0, negatable: true },
    { names: ['--physdev-is-out'], values: 0, negatable: true },
    { names: ['--physdev-is-bridged'], values: 0, negatable: true },
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-m physdev` needs an option')
    const long = given.find((option) => valueText(option).length > deviceNameMax)
    if (long !== undefined)
      return scope.report(long.values[0] ?? word, `a device name has at most ${deviceNameMax} characters`)
    const order = [
      '--physdev-is-in',
      '--physdev-in',
      '--physdev-is-out',
      '--physdev-out',
      '--physdev-is-bridged',
    ]
    const sorted = order.flatMap((name) => find(given, name) ?? [])
    const text = sorted.map(
      ({ name, inverted, values }) =>
        `${bang(inverted)}${name}${values.length > 0 ? ` ${valueText({ name, inverted, values, word })}` : ''}`,
    )
    const tests = sorted.map((option) => {
      const wanted = deviceName(valueText(option))
      return (ports: BridgePorts, bridged: boolean): boolean => {
        switch (option.name) {
          case '--physdev-in':
            if (ports.in === undefined) return bridged || option.inverted
            return deviceMatches(ports.in.name, wanted) !== option.inverted
          case '--physdev-out':
            if (ports.out === undefined) return !bridged && option.inverted
            return deviceMatches(ports.out.name, wanted) !== option.inverted
          case '--physdev-is-in':
            return (ports.in !== undefined) !== option.inverted
          case '--physdev-is-out':
            return (ports.out !== undefined) !== option.inverted
          default:
            return (ports.in !== undefined && ports.out !== undefined) !== option.inverted
        }
      }
    })
    const bridged = find(given, '--physdev-is-bridged')
    const out = sorted.find(({ name }) => name === '--physdev-out' || name === '--physdev-is-out')
    const outOnly = out !== undefined && (bridged === undefined || bridged.inverted)
    const hooks = ['PREROUTING', 'INPUT', 'FORWARD', 'POSTROUTING'] as const
    return {
      text: text.join(' '),
      ...(outOnly ? { standing: { what: `\`${out.name}\` without \`--physdev-is-bridged\``, hooks } } : {}),
      bind: () => (packet) => {
        const { bridged } = packet.skb
        const ports = { in: bridged?.physIn, out: bridged?.physOut }
        return tests.every((test) => test(ports, bridged !== undefined))
      },
    }
  },
}

/** `0`, or `0-999`. */
function parseIds(text: string): readonly [number, number] | undefined {
  const [first, last = first, ...more] = text.split('-').map((part) => parseNumber(part))
  return first === undefined || last === undefined || first > last || more.length > 0
    ? undefined
    : [first, last]
}

const owner: MatchKind = {
  name: 'owner',
  hooks: ['OUTPUT', 'POSTROUTING'],
  options: [
    negatable('--uid-owner'),
    negatable('--gid-owner'),
    { names: ['--socket-exists'], values: 0, negatable: true },
  ],
  read: (given, scope, word): MatchSpec | undefined => {
    if (given.length === 0) return scope.report(word, '`-m owner` needs an option')
    const wrong = given.find(
      ({ values: [value] }) => value !== undefined && parseIds(value.text) === undefined,
    )
    if (wrong !== undefined)
      return scope.report(wrong.values[0] ?? word, 'users and groups are given by number, or as a range')
    const text = given.map(
      (option) =>
        `${bang(option.inverted)}${option.name}${option.values.length > 0 ? ` ${valueText(option)}` : ''}`,
    )
    // every socket of a scenario belongs to root (uid and gid 0)
    const inRange = (value: string): boolean => Number(value.split('-')[0]) === 0
    return {
      text: text.join(' '),
      bind:
        () =>
        ({ ns, skb }) => {
          const socket = skb.sk?.ns === ns ? skb.sk : undefined
          const kernels = skb.kernelSocket === ns
          return given.every(({ name, inverted, values }) => {
            if (name === '--socket-exists') return (socket !== undefined || kernels) !== inverted
            const owned = socket !== undefined && inRange(values[0]?.text ?? '')
            return owned !== inverted
          })
        },
    }
  },
}

const cpu: MatchKind = {
  name: 'cpu',
  options: [negatable('--cpu')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--cpu', { word, name: '-m cpu' })
    const wanted = option && read(option, scope, (text) => parseNumber(text), 'number of a CPU')
    if (option === undefined || wanted === undefined) return undefined
    // there is one CPU, as bpf_get_smp_processor_id says
    const matches = (wanted === 0) !== option.inverted
    return { text: `${bang(option.inverted)}--cpu ${wanted}`, bind: () => () => matches }
  },
}

/** What /etc/iproute2/rt_realms calls realm 0; the tool prints the name when there is no mask. */
const noRealm = 'cosmos'
const wholeMask = 0xffff_ffff

function realmOf(text: string): Masked | undefined {
  return parseMasked(text === noRealm ? '0' : text)
}

const realm: MatchKind = {
  name: 'realm',
  families: [4],
  hooks: ['INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  options: [negatable('--realm')],
  read: (given, scope, word): MatchSpec | undefined => {
    const option = required(given, scope, '--realm', { word, name: '-m realm' })
    const wanted = option && read(option, scope, realmOf, 'number of a realm')
    if (option === undefined || wanted === undefined) return undefined
    // routes have no realm here, which is realm 0
    const matches = (wanted.value === 0) !== option.inverted
    const named = wanted.value === 0 && wanted.mask === wholeMask
    const text = `${bang(option.inverted)}--realm ${named ? noRealm : formatMasked(wanted)}`
    return { text, bind: () => () => matches }
  },
}

/** Matches on what the namespace knows. */
export const placeMatches: readonly MatchKind[] = [physdev, owner, cpu, realm]
