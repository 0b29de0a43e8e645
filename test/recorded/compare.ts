// Where a played case and the recorded one agree: events in total order, step results, neighbours, device counters.
import { bridgeState } from '../../src/kernel/device/bridge-state.ts'
import { vxlanState } from '../../src/kernel/device/vxlan-state.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import { formatIp } from '../../src/net/address.ts'
import { formatMac, macFrom } from '../../src/net/mac.ts'
import type { RecordedCase, RecordedResult } from './case.ts'
import { staticEntries } from './commands-bridge.ts'
import type { Sighting } from './markers.ts'
import { Chosen, flowName, fromHex, normalise } from './normalise.ts'
import type { Played } from './play.ts'

/** One line of a case's events. */
function line(sighting: Sighting): string {
  const { step, place, len, mark, pkt_type, hex } = sighting
  const matched = sighting.matched === undefined ? '' : sighting.matched ? ' matched' : ' unmatched'
  return `${step} ${place}${matched} len ${len} mark ${mark ?? '-'} ${pkt_type ?? '-'} ${hex}`
}

/** The recorded events in the same form; TCP windows are taken out of their bytes. */
export function recordedLines(recorded: RecordedCase): string[] {
  const chosen = new Chosen()
  for (const event of recorded.events) keepNumbers(chosen, event.hex, event.place)
  return recorded.events.map((event) => {
    const start = isPacketPlace(event.place) ? 'ip' : 'ethernet'
    return line({ ...event, hex: normalise(fromHex(event.hex), start, chosen) })
  })
}

/** Chains and sockets show packets from the IP header on. */
function isPacketPlace(place: string): boolean {
  return place.split(':').length === 2 || place.includes(':sock:')
}

/** Recorded sequence numbers have their normal form already. */
function keepNumbers(chosen: Chosen, hex: string, place: string): void {
  const bytes = fromHex(hex)
  const at = isPacketPlace(place) ? 0 : 14
  const four = (bytes[at] ?? 0) >> 4 === 4
  const [l4, from, size] = four ? [at + 20, at + 12, 4] : [at + 40, at + 8, 16]
  const word = (offset: number): string => Buffer.from(bytes.subarray(offset, offset + size)).toString('hex')
  const port = (offset: number): number => ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
  chosen.keep(flowName(word(from), port(l4), word(from + size), port(l4 + 2)))
}

/** The played events in the same form. */
export function playedLines(played: Played): string[] {
  return played.sightings.map(line)
}

/** How many events agree in order: the length of the longest common subsequence. */
export function agreeing(left: readonly string[], right: readonly string[]): number {
  let row = new Array<number>(right.length + 1).fill(0)
  for (const one of left) {
    const next = [0]
    for (const [index, other] of right.entries()) {
      const best = one === other ? (row[index] ?? 0) + 1 : Math.max(row[index + 1] ?? 0, next[index] ?? 0)
      next.push(best)
    }
    row = next
  }
  return row[right.length] ?? 0
}

/** A step's answer without what a case chooses by chance. */
function answer(
  result: RecordedResult | undefined,
  port: (value: number) => number = (value) => value,
): string {
  if (result === undefined) return '-'
  if (result.errno !== undefined) return result.errno
  const data = shortened(result.data)
  if (result.src !== undefined) return `${data} from ${result.src[0]}:${port(result.src[1])}`
  return String(data ?? result.ok ?? '-')
}

/** Long payloads are recorded as their first 16 characters and the length. */
function shortened(data: string | undefined): string | undefined {
  if (data === undefined || data.length <= 64) return data
  return `${data.slice(0, 16)}...(${data.length} bytes, repeats)`
}

/** Steps whose answers differ, as `N op: recorded, played`. */
export function differingResults(recorded: RecordedCase, played: Played): string[] {
  const differing: string[] = []
  for (const step of recorded.steps) {
    const [want, have] = [
      answer(step.result),
      answer(played.results.get(step.n), (value) => played.chosen.port(value)),
    ]
    if (want !== have) differing.push(`${step.n} ${step.op}: recorded ${want}, played ${have}`)
  }
  return differing
}

/** Counters of `ip -s link` that both keep. */
const linkCounters = ['rx_packets', 'tx_packets', 'rx_dropped', 'tx_dropped'] as const

/** Device counters that differ, as `NS dev.NAME.COUNTER: recorded, played`. */
export function differingDeviceCounters(recorded: RecordedCase, machine: Machine): string[] {
  const differing: string[] = []
  for (const [name, { traced }] of Object.entries(recorded.topology.namespaces)) {
    if (traced === false) continue
    const wanted = recorded.final[name]?.counters ?? {}
    for (const dev of machine.namespaces.get(name)?.devices.values() ?? []) {
      for (const counter of linkCounters) {
        const key = `dev.${dev.name}.${counter}`
        const [want, have] = [wanted[key] ?? 0, dev.counters[counter]]
        if (want !== have) differing.push(`${name} ${key}: recorded ${want}, played ${have}`)
      }
    }
  }
  return differing
}

/** Counters that the recorder left out, some of them because of the noise of a real machine. */
const unrecorded =
  /^(dev\.|ct\.|TcpExt|Icmp6?(In|Out)Msgs$|IpExtInMcastPkts$|Ip(Ext|6)In(NoECT|ECT[01]|CE)Pkts$|Ip6(In|Out)McastPkts$|Ip(Forwarding|DefaultTTL)$)/

/** SNMP counters that differ. */
export function differingCounters(recorded: RecordedCase, machine: Machine): string[] {
  const differing: string[] = []
  for (const [name, { traced }] of Object.entries(recorded.topology.namespaces)) {
    if (traced === false) continue
    const wanted = recorded.final[name]?.counters ?? {}
    const have = machine.namespaces.get(name)?.counters ?? new Map<string, number>()
    const keys = new Set([...Object.keys(wanted), ...have.keys()])
    for (const key of keys) {
      if (unrecorded.test(key)) continue
      const [want, got] = [wanted[key] ?? 0, have.get(key) ?? 0]
      if (want !== got) differing.push(`${name} ${key}: recorded ${want}, played ${got}`)
    }
  }
  return differing
}

/** One class: which of them an entry is in depends on real time. */
const answering = new Set(['REACHABLE', 'STALE', 'DELAY', 'PROBE'])

function neighbourLine(text: string): string {
  const [ip, , dev, mac, state = ''] = text.split(' ')
  return `${ip} ${dev} ${mac} ${answering.has(state) ? 'REACHABLE' : state}`
}

/** Neighbour entries that differ, as `NS LINE`; `-` recorded only, `+` played only. */
export function differingNeighbours(recorded: RecordedCase, machine: Machine): string[] {
  const differing: string[] = []
  for (const name of Object.keys(recorded.topology.namespaces)) {
    const ns = machine.namespaces.get(name)
    const have = new Set<string>()
    for (const family of [ns?.ip.v4, ns?.ip.v6]) {
      for (const entry of family?.neighbours.entries.values() ?? []) {
        if (entry.state === 'NOARP' || entry.state === 'NONE') continue
        const mac = entry.mac < 0 ? '-' : formatMac(macFrom(entry.mac))
        have.add(neighbourLine(`${formatIp(entry.address)} dev ${entry.device.name} ${mac} ${entry.state}`))
      }
    }
    const want = new Set((recorded.final[name]?.neighbours ?? []).map(neighbourLine))
    for (const text of want) if (!have.has(text)) differing.push(`${name} - ${text}`)
    for (const text of have) if (!want.has(text)) differing.push(`${name} + ${text}`)
  }
  return differing
}

/** Forwarding databases that differ, in the same form. */
export function differingFdb(recorded: RecordedCase, machine: Machine): string[] {
  const differing: string[] = []
  for (const name of Object.keys(recorded.topology.namespaces)) {
    const have = new Set<string>()
    for (const bridge of machine.namespaces.get(name)?.devices.values() ?? []) {
      if (bridge.kind === 'vxlan') {
        for (const [mac, entry] of vxlanState(bridge).fdb) {
          const state = entry.fixed && !staticEntries.has(entry) ? ' permanent' : ''
          for (const { address } of entry.remotes)
            have.add(`${formatMac(macFrom(mac))} dev ${bridge.name} dst ${formatIp(address)}${state}`)
        }
      }
      if (bridge.kind !== 'bridge') continue
      const { fdb, ageingNanoseconds } = bridgeState(bridge)
      for (const [mac, entry] of fdb) {
        if (!entry.local && machine.clock.now - entry.updated >= ageingNanoseconds) continue
        const port = entry.port?.dev.name ?? bridge.name
        const permanent = entry.local ? ' permanent' : ''
        have.add(`${formatMac(macFrom(mac))} dev ${port} master ${bridge.name}${permanent}`)
      }
    }
    const want = new Set(recorded.final[name]?.fdb ?? [])
    for (const text of want) if (!have.has(text)) differing.push(`${name} - ${text}`)
    for (const text of have) if (!want.has(text)) differing.push(`${name} + ${text}`)
  }
  return differing
}

/** `10.244.2.11 via 10.244.1.1 dev eth0 cache expires N mtu 1450`: destination, device and what was learned. */
function exceptionLine(text: string): string {
  const words = text.split(' ')
  const after = (word: string): string => (words.includes(word) ? (words[words.indexOf(word) + 1] ?? '') : '')
  const mtu = after('mtu') === 'lock' ? after('lock') : after('mtu')
  // the gateway is the route's unless a redirect taught it
  const learned = mtu === '' ? `via ${after('via')}` : `mtu ${mtu}`
  return `${words[0]} dev ${after('dev')} ${learned}`
}

/** What was learned about single destinations that differs: path MTUs and gateways. */
export function differingRouteCache(recorded: RecordedCase, machine: Machine): string[] {
  const differing: string[] = []
  for (const name of Object.keys(recorded.topology.namespaces)) {
    const ns = machine.namespaces.get(name)
    const have = new Set<string>()
    for (const family of [ns?.ip.v4, ns?.ip.v6]) {
      for (const { destination, device, gateway, mtu } of family?.exceptions.values() ?? []) {
        const learned = mtu > 0 || gateway === undefined ? `mtu ${mtu}` : `via ${formatIp(gateway)}`
        have.add(`${formatIp(destination)} dev ${device.name} ${learned}`)
      }
    }
    const want = new Set(
      (recorded.final[name]?.route_cache ?? '').split('\n').filter(Boolean).map(exceptionLine),
    )
    for (const text of want) if (!have.has(text)) differing.push(`${name} - ${text}`)
    for (const text of have) if (!want.has(text)) differing.push(`${name} + ${text}`)
  }
  return differing
}
