// What a case leaves behind in the tables of each namespace: neighbours, tracked flows, hits of rules. Only what the model
// has is asked for: the real kernel's tables also hold what the set-up put there.

import { conntrackText } from '../kernel/conntrack/text.ts'
import { listNeighbours } from '../kernel/ip/list.ts'
import type { Machine } from '../kernel/machine.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { tellsAddress } from '../kernel/neighbour-entry.ts'
import { iptablesSave } from '../kernel/netfilter/iptables.ts'
import { nftText } from '../kernel/nftables/nftables.ts'
import { formatIp } from '../net/address.ts'
import type { ChosenPorts } from './chosen-ports.ts'
import type { Difference } from './compare.ts'
import type { Namespaces } from './namespaces.ts'
import { macText } from './table-lines.ts'

/** States that only differ by time. */
const known = new Set(['REACHABLE', 'STALE', 'DELAY', 'PROBE'])

/** How exactly states of neighbours are compared: by name, or only whether the neighbour is known. */
export type NeighbourDetail = 'names' | 'known'

function stateWord(state: string, detail: NeighbourDetail): string {
  return detail === 'known' && known.has(state) ? 'known' : state.toLowerCase()
}

/** `ip neigh`, as `ADDRESS DEVICE` -> `MAC state`. */
function realNeighbours(namespaces: Namespaces, name: string, detail: NeighbourDetail): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of (namespaces.read(name, ['ip', 'neigh', 'show', 'nud', 'all']) ?? '').split('\n')) {
    const words = line.trim().split(/\s+/)
    const [address, , device] = words
    const state = words.at(-1)
    if (address === undefined || device === undefined || state === undefined || state === 'proxy') continue
    const mac = words[words.indexOf('lladdr') + 1] ?? ''
    const shown = words.includes('lladdr') ? `${mac} ` : ''
    found.set(`${address} ${device}`, `${shown}${stateWord(state, detail)}`)
  }
  return found
}

function compareNeighbours(namespaces: Namespaces, ns: Namespace, detail: NeighbourDetail): Difference[] {
  const model = [...listNeighbours(ns, 4), ...listNeighbours(ns, 6)].filter(({ state }) => state !== 'NONE')
  if (model.length === 0) return []
  const kernel = realNeighbours(namespaces, ns.name, detail)
  const found: Difference[] = []
  for (const neighbour of model) {
    const { address, device, mac, state } = neighbour
    const key = `${formatIp(address)} ${device.name}`
    const one = `${tellsAddress(neighbour) ? `${macText(mac)} ` : ''}${stateWord(state, detail)}`
    const two = kernel.get(key) ?? 'no entry'
    if (one !== two) found.push({ subject: `neighbour ${key} of ${ns.name}`, model: one, kernel: two })
  }
  return found
}

/** The port that a VXLAN device sends from is a hash seeded at boot. */
const toTunnel = /sport=\d+(?= dport=(?:4789|8472) )/
const fromTunnel = /(?<= sport=(?:4789|8472) )dport=\d+/

/** Where the answers of a flow go. */
const drawn = / (?:dport|id)=(\d+)(?= (?:\[ASSURED\] )?mark=)/

/** How many packets and sockets hold a flow at this moment. */
const references = / use=\d+$/

interface FlowLine {
  /** The line without what a clock changes. */
  readonly text: string
  readonly secondsLeft: number
}

/** The two halves do not look at the same moment: seconds, besides those that the reading itself is late. */
const clockSlack = 2

/** The lines of flows, those that end first in front: so the first match of each leaves the most for the others. */
function flowLines(text: string, ports: ReadonlyMap<number, number>): FlowLine[] {
  const lines = text.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '))
  return lines
    .filter((line) => line !== '')
    .map((line) => ({
      text: line
        .replace(/^(\S+ \d+) \d+ /, '$1 ')
        .replace(toTunnel, 'sport=*')
        .replace(fromTunnel, 'dport=*')
        .replace(references, '')
        .replace(drawn, (found, port) =>
          ports.has(Number(port)) ? ` to=${ports.get(Number(port))}` : found,
        ),
      secondsLeft: Number(/^\S+ \d+ (\d+) /.exec(line)?.[1] ?? 0),
    }))
    .sort((one, two) => one.secondsLeft - two.secondsLeft)
}

function shownFlow({ text, secondsLeft }: FlowLine): string {
  return text.replace(/^\S+ \d+ /, (ends) => `${ends}${secondsLeft} `)
}

/** The first of these flows that is the wanted one, left for as long; they were read `late` seconds after it. */
function sameFlow(lines: readonly FlowLine[], wanted: FlowLine, late: number): number {
  return lines.findIndex(({ text, secondsLeft }) => {
    const gone = wanted.secondsLeft - secondsLeft
    return text === wanted.text && gone >= -clockSlack && gone <= clockSlack + late
  })
}

function compareFlowsTracked(
  namespaces: Namespaces,
  ns: Namespace,
  { ports, late }: Pick<TablesOptions, 'ports' | 'late'>,
): Difference[] {
  if (ns.netfilter.conntrack === undefined) return []
  const found: Difference[] = []
  for (const family of [4, 6] as const) {
    const text = namespaces.read(ns.name, ['conntrack', '-L', '-f', `ipv${family}`])
    if (text === undefined) continue // conntrack-tools are not installed
    const seconds = late()
    const kernel = flowLines(text, ports.kernel)
    for (const line of flowLines(conntrackText(ns, family), ports.model)) {
      const at = sameFlow(kernel, line, seconds)
      if (at === -1)
        found.push({ subject: `a flow in ${ns.name}`, model: shownFlow(line), kernel: 'not there' })
      else kernel.splice(at, 1)
    }
    for (const line of kernel)
      found.push({ subject: `a flow in ${ns.name}`, model: 'not there', kernel: shownFlow(line) })
  }
  return found
}

/** Rules of `iptables-save -c` that packets can have met; the tables in the order of their names. */
function ruleLines(text: string): string[] {
  const tables: string[][] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) tables.push([line])
    else if (/^\[|^:[A-Z]/.test(line) && !line.includes(' - [')) tables.at(-1)?.push(line)
  }
  return tables.toSorted(([a = ''], [b = '']) => a.localeCompare(b)).flat()
}

/** IPv6: the kernel's own reports and solicitations are counted too, so only rules for these protocols can be compared. */
const quiet6 = /(?<!!) -p (?:tcp|udp|sctp|gre|esp) /

/** Which rules and policies of IPv4 matched how often and how many bytes; see `quiet6` for IPv6. */
function compareRuleCounters(namespaces: Namespaces, ns: Namespace): Difference[] {
  const found: Difference[] = []
  for (const family of [4, 6] as const) {
    if ((ns.netfilter.tables?.[family].size ?? 0) === 0) continue
    const tool = family === 4 ? 'iptables' : 'ip6tables'
    const model = ruleLines(iptablesSave(ns, family, { counters: true }))
    const kernel = ruleLines(namespaces.read(ns.name, [`${tool}-legacy-save`, '-c']) ?? '')
    for (const [index, line] of model.entries()) {
      const other = kernel[index] ?? 'no rule'
      if (line === other || (family === 6 && !quiet6.test(line))) continue
      found.push({ subject: `a rule of ${tool} in ${ns.name}`, model: line, kernel: other })
    }
  }
  return found
}

/** Counters of rules of nft, in the order in which `nft list ruleset` shows them. */
function compareNftCounters(namespaces: Namespaces, ns: Namespace): Difference[] {
  if (ns.netfilter.nftables === undefined) return []
  const counters = (text: string): string[] => text.match(/packets \d+ bytes \d+/g) ?? []
  const model = counters(nftText(ns))
  const kernel = counters(namespaces.read(ns.name, ['nft', 'list', 'ruleset']) ?? '')
  return model.flatMap((line, index) => {
    const other = kernel[index] ?? 'no counter'
    return line === other
      ? []
      : [{ subject: `counter ${index + 1} of nft in ${ns.name}`, model: line, kernel: other }]
  })
}

export interface TablesOptions {
  readonly detail: NeighbourDetail
  readonly ports: ChosenPorts
  /** Seconds since the case was over: reading takes its time on a busy machine. */
  readonly late: () => number
}

/** Compares the tables of all namespaces as they are at the end. */
export function compareTables(
  machine: Machine,
  namespaces: Namespaces,
  options: TablesOptions,
): Difference[] {
  return [...machine.namespaces.values()].flatMap((ns) => [
    ...compareNeighbours(namespaces, ns, options.detail),
    ...compareFlowsTracked(namespaces, ns, options),
    ...compareRuleCounters(namespaces, ns),
    ...compareNftCounters(namespaces, ns),
  ])
}
