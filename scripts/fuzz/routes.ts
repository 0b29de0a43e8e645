// Routes of every type, policy rules, neighbours, further addresses, MTUs.
import type { Dice } from './dice.ts'
import { addressesOf, type Draft, type DraftDevice, type DraftHost } from './host.ts'

/** Prefixes without a host behind them, and some that shadow hosts. */
const prefixes4 = [
  '10.9.1.0/24',
  '10.9.2.0/24',
  '10.9.0.0/16',
  '10.9.1.7/32',
  '10.2.0.2/32',
  '10.3.0.0/25',
  '10.0.0.0/8',
  'default',
]
const prefixes6 = ['fd00:9:1::/64', 'fd00:9::/32', 'fd00:9:1::7/128', 'fd00:2::2/128', 'default']

/** `10.1`, `fd00:1`: what the addresses of a link begin with. */
function linkOf(address: string): string {
  return address.split(address.includes(':') ? '::' : '.0.')[0] ?? ''
}

interface Hop {
  readonly address: string
  /** A device of the host whose subnet the address is in. */
  readonly device: string
}

/** Addresses of others that share a link with a host; the checks refuse other gateways. */
function onLink(draft: Draft, each: DraftHost, six: boolean): Hop[] {
  const mine = each.devices.flatMap(({ addresses }) => addresses.map((text) => text.replace(/\/.*/, '')))
  return addressesOf(draft, six ? 6 : 4).flatMap((address) => {
    if (mine.includes(address)) return []
    const found = each.devices.find(({ addresses }) =>
      addresses.some((own) => linkOf(own) === linkOf(address)),
    )
    return found === undefined ? [] : [{ address, device: found.name }]
  })
}

/** What two routes of a host must not share: the checks refuse the second. */
function keyOf(line: string): string {
  const after = (word: string): string => new RegExp(`${word} (\\S+)`).exec(line)?.[1] ?? '0'
  const [prefix = ''] = /default|\S+\/\d+/.exec(line) ?? []
  return [line.includes(':'), prefix, after('table'), after('metric'), after('tos')].join(' ')
}

function route(dice: Dice, draft: Draft, each: DraftHost): string {
  const six = draft.ipv6 && dice.once(3)
  const prefix = dice.pick(six ? prefixes6 : prefixes4)
  const table = dice.once(3) ? `table ${dice.pick([100, 200])} ` : ''
  const metric = dice.once(3) ? ` metric ${dice.number(1, 3)}` : ''
  const type = dice.pick(['unicast', 'unicast', 'unicast', 'blackhole', 'unreachable', 'prohibit', 'throw'])
  if (type !== 'unicast') return `route ${type} ${table}${prefix}${metric}`
  const { name } = dice.pick(each.devices)
  const hop = dice.pick(onLink(draft, each, six))
  const way = dice.pick([
    `via ${hop.address}`,
    `via ${hop.address}`,
    `via ${hop.address} dev ${hop.device}`,
    `dev ${name}`,
    `via ${hop.address} dev ${name} onlink`,
  ])
  const mtu = dice.once(5) ? ` mtu ${dice.pick([600, 1000, 1280])}` : ''
  const tos = !six && dice.once(8) ? ' tos 16' : ''
  const own = each.devices.flatMap(({ addresses }) => addresses).filter((text) => text.includes(':') === six)
  const source = own.length > 0 && dice.once(5) ? ` src ${dice.pick(own).replace(/\/.*/, '')}` : ''
  return `route ${table}${prefix} ${way}${metric}${mtu}${tos}${source}`
}

function rule(dice: Dice, draft: Draft, each: DraftHost): string {
  const words = [`rule pref ${dice.number(1, 40) * 10}`]
  if (dice.once(8)) words.push('not')
  const { name } = dice.pick(each.devices)
  const selectors = [
    ...(draft.ipv6 && dice.once(3)
      ? ['from fd00:1::/64', 'to fd00:2::2/128', 'from fd00:1::2/128', 'to fd00:9::/32']
      : ['from 10.1.0.0/24', 'from 10.1.0.2/32', 'to 10.9.0.0/16', 'to 10.2.0.2/32']),
    'fwmark 1',
    'fwmark 0x2/0xf',
    `iif ${name}`,
    `oif ${name}`,
    'tos 16',
    'ipproto udp',
    'ipproto tcp',
    'ipproto udp dport 7000',
    'iif lo',
  ]
  const chosen = dice.some(selectors, 2)
  words.push(...(chosen.length === 0 ? ['from all'] : chosen))
  words.push(
    dice.pick([
      'lookup 100',
      'lookup 200',
      'lookup 100',
      'lookup main',
      'lookup 100 suppress_prefixlength 0',
      'blackhole',
      'unreachable',
      'prohibit',
      'goto 32766',
    ]),
  )
  return words.join(' ')
}

function neighbour(dice: Dice, draft: Draft, each: DraftHost): string {
  const { name } = dice.pick(each.devices)
  const address = dice.pick([
    ...addressesOf(draft, 4),
    '10.1.0.77',
    '10.2.0.77',
    ...(draft.ipv6 ? ['fd00:2::77'] : []),
  ])
  if (dice.once(4)) return `neigh proxy ${address} dev ${name}`
  if (dice.once(5)) return `neigh ${address} dev ${name} failed`
  const state = dice.pick(['permanent', 'permanent', 'reachable', 'noarp'])
  return `neigh ${address} lladdr 02:00:00:00:00:77 dev ${name} ${state}`
}

/** A route unless there is one of its kind already. */
function addRoute(dice: Dice, draft: Draft, each: DraftHost): void {
  const line = route(dice, draft, each)
  const taken = each.lines.filter((other) => other.startsWith('route ')).map(keyOf)
  if (!taken.includes(keyOf(line))) each.lines.push(line)
}

/** A further address that no other device of the link's two ends has. */
function addAddress(dice: Dice, draft: Draft, own: DraftDevice): void {
  const address = dice.pick([`10.8.${dice.number(1, 9)}.1`, '10.2.0.128'])
  if (addressesOf(draft, 4).includes(address)) return
  own.addresses.push(`${address}/${address.startsWith('10.8') ? 32 : 25}`)
}

/** Routes, rules, neighbours, addresses and MTUs. */
export function routing(dice: Dice, draft: Draft): void {
  for (const each of draft.hosts) {
    const router = each.name === 'R'
    for (let left = dice.number(0, router ? 5 : 1); left > 0; left -= 1) addRoute(dice, draft, each)
    for (let left = dice.number(0, router ? 3 : 1); left > 0; left -= 1)
      each.lines.push(rule(dice, draft, each))
    for (let left = dice.number(0, 1); left > 0; left -= 1) each.lines.push(neighbour(dice, draft, each))
    for (const own of each.devices) {
      if (own.kind.includes('master') || own.kind === 'on lan') continue
      if (dice.once(8)) addAddress(dice, draft, own)
      if (dice.once(8) && !own.kind.startsWith('bridge') && !draft.ipv6)
        own.options.push(`mtu ${dice.pick([576, 1000, 1400, 1499])}`)
    }
    if (dice.once(6)) each.lines.push('neighbours cold')
  }
}
