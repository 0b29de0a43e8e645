// NAT targets: xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c; NETMAP has its own file. They only decide; nat-hook.ts rewrites.
import { formatIp, isIpv4, parseIp } from '../../../net/address.ts'
import { ipProtocol } from '../../../net/protocol.ts'
import { masquerade, redirectToSelf } from '../../conntrack/masquerade.ts'
import { setupNat } from '../../conntrack/nat.ts'
import type { Manip, NatRange } from '../../conntrack/nat-choose.ts'
import {
  type Action,
  actionVerdict,
  type Given,
  type RuleScope,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, flag, read, withValue } from '../match/given.ts'
import type { TableName } from '../ruleset.ts'
import { compareIp, formatPortRange, parsePortRange, type Range } from '../values.ts'

const natTable: readonly TableName[] = ['nat']
const verdictOf = (verdict: 'accept' | 'drop'): 1 | 2 => actionVerdict[verdict]

interface Destination {
  readonly addresses: NatRange['addresses']
  readonly ports: Range | undefined
  readonly basePort: number | undefined
}

/** Takes `[v6]:ports`, `v4:ports` or an address alone apart. */
function splitPorts(text: string, family: 4 | 6): readonly [string, string | undefined] {
  if (family === 4) {
    const at = text.indexOf(':')
    return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
  }
  const found = /^\[([^\]]*)\](?::(.*))?$/.exec(text)
  return found === null ? [text, undefined] : [found[1] ?? '', found[2]]
}

/** `10.0.0.1`, `10.0.0.1-10.0.0.9:80`, `:8080-8090`, `:8080-8090/8000`. */
function parseDestination(text: string, family: 4 | 6): Destination | undefined {
  const [addressText, portText] = splitPorts(text, family)
  const [portRange, baseText, ...more] = portText?.split('/') ?? []
  const ports = portRange === undefined ? undefined : parsePortRange(portRange, '-')
  if (portRange !== undefined && ports === undefined) return undefined
  const basePort = baseText === undefined ? undefined : Number(baseText)
  if (baseText !== undefined && portRange?.includes('-') !== true) return undefined
  if (more.length > 0 || Number.isNaN(basePort)) return undefined
  if (addressText === '') return ports === undefined ? undefined : { addresses: undefined, ports, basePort }
  const [left = '', right] = addressText.split('-')
  const first = parseIp(left)
  const last = right === undefined ? first : parseIp(right)
  if (first === undefined || last === undefined) return undefined
  if (isIpv4(first) !== (family === 4) || isIpv4(last) !== (family === 4) || compareIp(first, last) > 0)
    return undefined
  return { addresses: { first, last }, ports, basePort }
}

function destinationText({ addresses, ports, basePort }: Destination, family: 4 | 6): string {
  let text = ''
  if (addresses !== undefined) {
    text = formatIp(addresses.first)
    if (compareIp(addresses.first, addresses.last) !== 0) text += `-${formatIp(addresses.last)}`
    if (family === 6 && ports !== undefined) text = `[${text}]`
  }
  if (ports === undefined) return text
  return `${text}:${formatPortRange(ports, '-')}${basePort === undefined ? '' : `/${basePort}`}`
}

function hasPortProtocol(scope: RuleScope): boolean {
  const { protocol } = scope
  return (
    [ipProtocol.tcp, ipProtocol.udp, ipProtocol.sctp, 33].includes(protocol as never) ||
    protocol === ipProtocol.icmp
  )
}

function addressTarget(name: 'SNAT' | 'DNAT', manip: Manip, option: string): TargetKind {
  return {
    name,
    tables: natTable,
    hooks: manip === 'source' ? ['POSTROUTING', 'INPUT'] : ['PREROUTING', 'OUTPUT'],
    options: [
      withValue(option),
      flag('--random'),
      flag('--persistent'),
      ...(manip === 'source' ? [flag('--random-fully')] : []),
    ],
    read: (given, scope, word): TargetSpec | undefined => {
      const to = find(given, option)
      if (to === undefined) return scope.report(word, `\`-j ${name}\` needs \`${option}\``)
      const wanted = read(
        to,
        scope,
        (text) => parseDestination(text, scope.family),
        'address, range or port range',
      )
      if (wanted === undefined) return undefined
      if (wanted.ports !== undefined && !hasPortProtocol(scope)) {
        return scope.report(to.word, 'a port range needs `-p tcp`, `-p udp`, `-p sctp` or `-p dccp`')
      }
      const has = (flagName: string): boolean => find(given, flagName) !== undefined
      const flags = ['--random', '--random-fully', '--persistent'].filter(has)
      const range: NatRange = {
        ...wanted,
        random: has('--random') || has('--random-fully'),
        persistent: has('--persistent'),
      }
      const action: Action = ({ ns, skb }) => {
        const { conntrack } = ns.netfilter
        const { nfct } = skb
        if (conntrack === undefined || nfct === undefined) return actionVerdict.drop
        return verdictOf(setupNat(conntrack, nfct, range, manip))
      }
      const text = [`${option} ${destinationText(wanted, scope.family)}`, ...flags].join(' ')
      return { text, need: 'conntrack', bind: () => action }
    },
  }
}

interface Ports {
  readonly ports: Range | undefined
  readonly random: boolean
  readonly text: string
}

function readPorts(given: readonly Given[], scope: RuleScope, flags: readonly string[]): Ports | undefined {
  const option = find(given, '--to-ports')
  const ports =
    option === undefined
      ? undefined
      : read(option, scope, (text) => parsePortRange(text, '-'), 'port or range of ports')
  if (option !== undefined && ports === undefined) return undefined
  if (option !== undefined && !hasPortProtocol(scope)) {
    return scope.report(option.word, '`--to-ports` needs `-p tcp`, `-p udp`, `-p sctp` or `-p dccp`')
  }
  const used = flags.filter((name) => find(given, name) !== undefined)
  const words = ports === undefined ? used : [`--to-ports ${formatPortRange(ports, '-')}`, ...used]
  return { ports, random: used.length > 0, text: words.join(' ') }
}

const masqueradeTarget: TargetKind = {
  name: 'MASQUERADE',
  tables: natTable,
  hooks: ['POSTROUTING'],
  options: [withValue('--to-ports'), flag('--random'), flag('--random-fully')],
  read: (given, scope): TargetSpec | undefined => {
    const wish = readPorts(given, scope, ['--random', '--random-fully'])
    if (wish === undefined) return undefined
    const action: Action = ({ ns, skb, out }) =>
      out === undefined ? actionVerdict.drop : verdictOf(masquerade(ns, skb, out, wish))
    return { text: wish.text, need: 'conntrack', bind: () => action }
  },
}

const redirect: TargetKind = {
  name: 'REDIRECT',
  tables: natTable,
  hooks: ['PREROUTING', 'OUTPUT'],
  options: [{ names: ['--to-ports', '--to-port'], values: 1 }, flag('--random')],
  read: (given, scope): TargetSpec | undefined => {
    const wish = readPorts(given, scope, ['--random'])
    if (wish === undefined) return undefined
    const action: Action = ({ ns, skb, hook, in: input }) =>
      verdictOf(redirectToSelf(ns, skb, { hook, in: input }, wish))
    return { text: wish.text, need: 'conntrack', bind: () => action }
  },
}

/** Targets of table nat. */
export const natTargets: readonly TargetKind[] = [
  addressTarget('SNAT', 'source', '--to-source'),
  addressTarget('DNAT', 'destination', '--to-destination'),
  masqueradeTarget,
  redirect,
]
