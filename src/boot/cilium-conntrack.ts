// The collector of one agent: conntrack entries that have run out go, with their translations; at times of its own, when a program
// has asked for it through cilium_signals, and when a step runs it. pkg/maps/ctmap/gc Enable(), runGC()
import { readLe32 } from '../bpf/context/byte-order.ts'
import { mapKeys } from '../bpf/user.ts'
import { ConntrackPace } from '../cilium/agent/conntrack-gc.ts'
import { signal } from '../cilium/datapath/signal.ts'
import { addressBytes } from '../cilium/maps/address-bytes.ts'
import { entryClock } from '../cilium/maps/clock.ts'
import {
  type ConntrackTable,
  conntrackTables,
  everything,
  type Stale,
  staleEntries,
} from '../cilium/maps/collect.ts'
import { connectionsFrom } from '../cilium/maps/connections.ts'
import { legacyOrphanedTranslations, orphanedTranslations } from '../cilium/maps/orphans.ts'
import { cancel, monotonic, second, type Timer } from '../kernel/clock.ts'
import type { AgentJob } from '../model/step.ts'
import type { AgentAct } from '../trace/event.ts'
import type { RunningCilium, RunningNode } from './cilium.ts'
import { MapWriter } from './map-writer.ts'

type IpVersion = 4 | 6

/** The part of the agent that collects, as the agent calls it. */
const conntrackJob = 'ct-nat-map-gc' satisfies AgentJob

/** What makes a round: the families that are looked at, and whether a program asked for it. */
interface Occasion {
  readonly versions: readonly IpVersion[]
  readonly signalled: boolean
}

function deleted(entries: readonly Stale[]): AgentAct[] {
  const writer = new MapWriter()
  for (const { map, key } of entries) writer.delete(map, key)
  return writer.acts
}

/** One agent's collector. */
export class ConntrackCollector {
  readonly #running: RunningCilium
  readonly #node: RunningNode
  readonly #legacy: boolean
  readonly #pace: ConntrackPace
  /** Families of the node. */
  readonly #versions: readonly IpVersion[]
  /** Families that programs have asked for since the last round. */
  readonly #asked: IpVersion[] = []
  #timer: Timer | undefined

  /** The agent starts, finds its maps empty, and waits. */
  constructor(running: RunningCilium, node: RunningNode) {
    const { config } = node.agent.node
    this.#running = running
    this.#node = node
    this.#legacy = config.version === '1.10'
    this.#pace = new ConntrackPace(config.conntrackGc, this.#legacy)
    this.#versions = [...(config.ipv4 ? ([4] as const) : []), ...(config.ipv6 ? ([6] as const) : [])]
    node.maps.cilium_signals.onRecord = (record) => this.#signalled(record)
    this.#wait(0, true)
  }

  /** What somebody asks for, or its time: a round of all families, or all entries gone at once; answers what was deleted. */
  does(job: AgentJob): readonly AgentAct[] {
    switch (job) {
      case 'ct-nat-map-gc':
        return this.#round({ versions: this.#versions, signalled: false })
      case 'ct flush':
        return deleted(staleEntries(this.#tables(this.#versions), everything, this.#legacy))
      case 'nat flush':
        return deleted(
          [...new Set(this.#tables(this.#versions).map(({ natMap }) => natMap))].flatMap((map) =>
            mapKeys(map).map((key) => ({ map, key })),
          ),
        )
    }
  }

  #tables(versions: readonly IpVersion[]): readonly ConntrackTable[] {
    return conntrackTables(this.#node.maps).filter(({ version }) => versions.includes(version))
  }

  #wait(ratio: number, full: boolean): void {
    const { clock } = this.#node.ns.machine
    cancel(this.#timer)
    const interval = this.#pace.after({ at: clock.now, ratio, full })
    this.#timer = clock.after(interval, () => this.#report(this.does(conntrackJob)))
  }

  /** signalReceive(): the agent is woken once for all that waits; 1.10 for each, its channel holds one. */
  #signalled(record: Uint8Array): void {
    const number = readLe32(record, 0)
    if (number !== signal.NAT_FILL_UP && number !== signal.CT_FILL_UP) return
    this.#asked.push(readLe32(record, 4) === 0 ? 4 : 6)
    if (this.#asked.length === 1) this.#node.ns.machine.clock.atRest(() => this.#answerSignals())
  }

  #answerSignals(): void {
    while (this.#asked.length > 0) {
      const versions = this.#asked.splice(0, this.#legacy ? 1 : this.#asked.length)
      this.#report(this.#round({ versions: [...new Set(versions)], signalled: true }))
    }
  }

  #report(acts: readonly AgentAct[]): void {
    if (acts.length === 0) return
    const { name } = this.#node.agent.node
    const at = this.#node.ns.machine.clock.now / second
    this.#running.onJob?.(`${conntrackJob} on ${name} at ${at}s`, [{ node: name, acts }])
  }

  /** runGC(): 1.19 goes through the maps of all families whoever asked. */
  #round({ versions, signalled }: Occasion): readonly AgentAct[] {
    const tables = this.#tables(this.#legacy ? versions : this.#versions)
    const { agent, ns } = this.#node
    const { now: expiredBefore } = entryClock(agent.node.config, monotonic(ns.machine.clock.now))
    const stale = staleEntries(tables, { expiredBefore }, this.#legacy)
    const acts = deleted(stale)
    if (signalled) acts.push(...deleted(this.#orphans(tables)))
    const full = this.#versions.every((version) => versions.includes(version))
    this.#seen(tables, full)
    const shares = tables.map(
      ({ ctMap }) => stale.filter(({ map }) => map === ctMap).length / ctMap.spec.maxEntries,
    )
    this.#wait(Math.max(0, ...shares), full)
    return acts
  }

  /** Translations without their connections; 1.10 leaves them alone where DSR makes some. */
  #orphans(tables: readonly ConntrackTable[]): readonly Stale[] {
    if (this.#legacy && this.#node.agent.node.config.lbMode !== 'snat') return []
    const pairs = tables.flatMap((tcp, index) => {
      const any = tables[index + 1]
      return index % 2 === 1 || any === undefined ? [] : [{ tcp, any }]
    })
    return pairs.flatMap(this.#legacy ? legacyOrphanedTranslations : orphanedTranslations)
  }

  /** emitEntryCB(), MarkCTGCTime(): addresses of names that connections are to live on. */
  #seen(tables: readonly ConntrackTable[], full: boolean): void {
    const { agent, ns } = this.#node
    const names = this.#running.names.get(agent.node.name)
    if (names === undefined) return
    const own = new Map(agent.endpoints.map(({ id, addresses }) => [id, addresses.map(addressBytes)]))
    const connections = (endpoint: number) => connectionsFrom(tables, own.get(endpoint) ?? [])
    names.conntrackCollected(ns.machine.clock.now, connections, full)
  }
}
