// Observers at the places where the recorder of the real kernel had its markers. They change nothing.
import type { RunContext } from '../../src/bpf/contract.ts'
import { addTap } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import type { Matcher } from '../../src/kernel/netfilter/extension.ts'
import { parseRuleset } from '../../src/kernel/netfilter/parse.ts'
import type { RuleSpec, Ruleset, TableName } from '../../src/kernel/netfilter/ruleset.ts'
import type { Skb } from '../../src/kernel/skb.ts'
import { attachTc } from '../../src/kernel/tc/attach.ts'
import { sound } from './commands.ts'
import { type Chosen, normalise } from './normalise.ts'

/** One sighting in the form of the recorded ones. */
export interface Sighting {
  readonly step: number
  readonly place: string
  readonly hex: string
  readonly len: number
  readonly mark: number | null
  readonly pkt_type: string | null
  /** At programs only. */
  readonly matched?: boolean
}

const typeNames = ['HOST', 'BCAST', 'MCAST', 'OTHERHOST', 'OUTGOING', 'LOOPBACK']

/** Collects sightings of one case. */
export class Notebook {
  readonly sightings: Sighting[] = []
  step = 0
  readonly chosen: Chosen

  constructor(chosen: Chosen) {
    this.chosen = chosen
  }

  /** A frame at a device. */
  frame(place: string, skb: Skb, matched?: boolean): void {
    this.write(place, skb, { from: skb.start, start: 'ethernet', length: skb.tail - skb.start, matched })
  }

  /** A packet at a chain or a socket; `length` is what the marker there calls skb->len. */
  packet(place: string, skb: Skb, length = skb.tail - skb.networkHeader): void {
    this.write(place, skb, { from: skb.networkHeader, start: 'ip', length })
  }

  /** A frame under XDP: it has neither mark nor type. */
  xdp(place: string, bytes: Uint8Array, matched: boolean): void {
    this.sightings.push({
      step: this.step,
      place,
      hex: normalise(bytes, 'ethernet', this.chosen),
      len: bytes.length,
      mark: null,
      pkt_type: null,
      matched,
    })
  }

  private write(
    place: string,
    skb: Skb,
    what: {
      readonly from: number
      readonly start: 'ethernet' | 'ip'
      readonly length: number
      readonly matched?: boolean | undefined
    },
  ): void {
    this.sightings.push({
      step: this.step,
      place,
      hex: normalise(skb.bytes.subarray(what.from, skb.tail), what.start, this.chosen),
      len: what.length,
      mark: skb.mark,
      pkt_type: typeNames[skb.pktType] ?? '',
      ...(what.matched === undefined ? {} : { matched: what.matched }),
    })
  }
}

/** Marks tc (a filter at preference 1 that returns UNSPEC) and taps of a device. */
export function markDevice(notebook: Notebook, dev: NetDevice): void {
  const place = `${dev.ns.name}:${dev.name}`
  for (const [direction, word] of [
    ['ingress', 'tc-in'],
    ['egress', 'tc-eg'],
  ] as const) {
    const run = ({ skb }: RunContext): number => {
      notebook.frame(`${place}:${word}`, skb as Skb)
      return -1
    }
    attachTc(dev, direction, {
      kind: 'clsact',
      pref: 1,
      program: { name: 'marker', type: 'sched_cls', run },
    })
  }
  addTap(dev, (_dev, skb, direction) => notebook.frame(`${place}:tap-${direction}`, skb))
}

/** The tables that the recorder filled, in every namespace. */
const tables: readonly TableName[] = ['raw', 'mangle', 'nat', 'filter']

/** A rule that sees what comes to its place in a chain, and matches nothing. */
function markerRule(notebook: Notebook, place: string): RuleSpec {
  const bind = (): Matcher => (packet) => {
    notebook.packet(place, packet.skb)
    return false
  }
  return {
    line: 0,
    header: {},
    matches: [{ name: 'marker', spec: { text: '', bind }, place: { line: 0, column: 0, length: 0 } }],
    target: { kind: 'none' },
    counters: { packets: 0, bytes: 0 },
  }
}

/** Rules as the recorder loaded them: all tables, with a marker at the head of every built-in chain. */
export function withMarkers(notebook: Notebook, ns: Namespace, text: string, family: 4 | 6): Ruleset {
  const missing = tables.filter((name) => !text.includes(`*${name}\n`))
  const parsed = sound(
    parseRuleset(`${text}\n${missing.map((name) => `*${name}\nCOMMIT\n`).join('')}`, family),
  )
  const marked = parsed.tables.map(({ name, chains }) => ({
    name,
    chains: new Map(
      [...chains].map(([at, chain]) => {
        if (chain.policy === undefined) return [at, chain] as const
        const marker = markerRule(notebook, `${ns.name}:${name}.${at}`)
        return [at, { ...chain, rules: [marker, ...chain.rules] }] as const
      }),
    ),
  }))
  return { ...parsed, tables: marked }
}
