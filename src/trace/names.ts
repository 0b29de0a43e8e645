// Names instead of numbers in a trace. Enters: the bindings and unstable values of one case; leaves: texts for
// addresses, identities and ports, and a record of which names were used, for only those get a `where` line.
//
// A name stands for the first IPv4 and the first IPv6 address of its binding, so that a reader can always go back from
// the name to the number. A node's further addresses are bindings of their own (`host/veth0`). The first binding wins.
import { formatIp, formatIpv4, type IpAddress, isIpv4, parseIp, parseIpv6 } from '../net/address.ts'
import { formatMac } from '../net/mac.ts'
import type { Naming } from '../net/naming.ts'
import type { Binding, Trace, Unstable } from './event.ts'

/** The naming of one case. Asking for a name marks it as used; asking for a variable binds it. */
export interface Names extends Naming {
  /** `client:40000`, `client` without a port, `[fd00::1]:80`, `client:$p1`. */
  readonly endpoint: (address: IpAddress, port: number) => string
  /** The name that carries `identity N`, or the number. */
  readonly identity: (identity: number) => string
  /** A number that may be unstable: the number, or its variable. */
  readonly number: (kind: Unstable['kind'], value: number) => string
  /** A text of somebody else's making, with names for the addresses and variables for the ports in it. */
  readonly rename: (text: string) => string
  /** A text with names already in it, with variables for the unstable numbers. */
  readonly withVariables: (text: string) => string
  /** The bindings whose names were used, by name. */
  readonly used: () => readonly Binding[]
}

const letterOf = { port: 'p', sequence: 's', identifier: 'i' } as const satisfies Record<
  Unstable['kind'],
  string
>

interface Tables {
  /** By canonical text: every IPv4 text is canonical, an IPv6 text becomes so when the first IPv6 address is asked for. */
  readonly find: (address: IpAddress) => Binding | undefined
  readonly byIdentity: ReadonlyMap<number, Binding>
}

function isIpv6Text(text: string): boolean {
  return text.includes(':')
}

const tablesKnown = new WeakMap<readonly Binding[], Tables>()

/** The tables of a list of bindings, made once for all cases that share it. */
function tablesOf(bindings: readonly Binding[]): Tables {
  const known = tablesKnown.get(bindings)
  if (known !== undefined) return known
  const made = makeTables(bindings)
  tablesKnown.set(bindings, made)
  return made
}

function makeTables(bindings: readonly Binding[]): Tables {
  const byIpv4 = new Map<string, Binding>()
  const byIdentity = new Map<number, Binding>()
  let byIpv6: Map<string, Binding> | undefined
  for (const binding of bindings) {
    const first = binding.addresses.find((text) => !isIpv6Text(text))
    if (first !== undefined && !byIpv4.has(first)) byIpv4.set(first, binding)
    for (const remark of binding.remarks) {
      const identity = /^identity (\d+)$/.exec(remark)?.[1]
      if (identity !== undefined && !byIdentity.has(Number(identity)))
        byIdentity.set(Number(identity), binding)
    }
  }
  const find = (address: IpAddress): Binding | undefined => {
    if (isIpv4(address)) return byIpv4.get(formatIpv4(address))
    byIpv6 ??= ipv6Table(bindings)
    return byIpv6.get(address.join())
  }
  return { find, byIdentity }
}

function ipv6Table(bindings: readonly Binding[]): Map<string, Binding> {
  const table = new Map<string, Binding>()
  for (const binding of bindings) {
    const first = parseIpv6(binding.addresses.find(isIpv6Text) ?? '')
    const key = first?.join()
    if (key !== undefined && !table.has(key)) table.set(key, binding)
  }
  return table
}

/** Gives out `$p1`, `$p2`, ... in the order in which unstable numbers are first printed. */
function variablesOf(unstable: readonly Unstable[]): (kind: Unstable['kind'], value: number) => string {
  if (unstable.length === 0) return (_kind, value) => `${value}`
  const known = new Set(unstable.map(({ kind, value }) => `${kind} ${value}`))
  const bound = new Map<string, string>()
  const counts = { port: 0, sequence: 0, identifier: 0 }
  return (kind, value) => {
    const key = `${kind} ${value}`
    if (!known.has(key)) return `${value}`
    const variable = bound.get(key)
    if (variable !== undefined) return variable
    counts[kind] += 1
    const made = `$${letterOf[kind]}${counts[kind]}`
    bound.set(key, made)
    return made
  }
}

// an address that is not part of a longer word or of a prefix, or a port behind `:` or `/`
const addressOrPort =
  /\[([0-9a-f:.]+)\]|(?<=\bid )(\d+)(?!\w)|(?<![\w.:/-])((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?![\w.]|\/\d)|(?<=[:/])(\d{1,5})(?![\w.:])/g

/** The naming of a trace. */
export function namesOf(trace: Pick<Trace, 'bindings' | 'unstable'>): Names {
  const { find, byIdentity } = tablesOf(trace.bindings)
  const number = variablesOf(trace.unstable ?? [])
  const used = new Set<Binding>()
  const nameOf = (address: IpAddress): string | undefined => {
    const binding = find(address)
    if (binding !== undefined) used.add(binding)
    return binding?.name
  }
  const ip = (address: IpAddress): string => nameOf(address) ?? formatIp(address)
  const replaced = (whole: string, bracketed?: string, id?: string, bare?: string, port?: string): string => {
    if (id !== undefined) return number('identifier', Number(id))
    if (port !== undefined) return number('port', Number(port))
    const address = parseIp(bracketed ?? bare ?? '')
    return (address === undefined ? undefined : nameOf(address)) ?? whole
  }
  const rename = (text: string): string => text.replace(addressOrPort, replaced)
  return {
    ip,
    mac: formatMac,
    endpoint: (address, port) => {
      const text = ip(address)
      if (port < 0) return text
      const shown = number('port', port)
      return !isIpv4(address) && text.includes(':') ? `[${text}]:${shown}` : `${text}:${shown}`
    },
    identity: (identity) => {
      const binding = byIdentity.get(identity)
      if (binding === undefined) return `${identity}`
      used.add(binding)
      return binding.name
    },
    number,
    rename,
    withVariables: (text) => (trace.unstable === undefined ? text : rename(text)),
    used: () => [...used].sort((left, right) => (left.name < right.name ? -1 : 1)),
  }
}
