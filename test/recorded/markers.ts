// Observers at the places where the recorder of the real kernel had its markers. They change nothing.
import type { RunContext } from '../../src/bpf/contract.ts'
import { asksNatRules } from '../../src/kernel/conntrack/nat.ts'
import { addTap } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { type HookName, priority } from '../../src/kernel/netfilter/hook.ts'
import type { Skb } from '../../src/kernel/skb.ts'
import { attachTc } from '../../src/kernel/tc/attach.ts'
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

const chains: Readonly<Record<'raw' | 'mangle' | 'filter', readonly HookName[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
}

/** A marker stands in front of the table that has the same priority. */
const before = 0.5

const natPriority = {
  PREROUTING: priority.natDestination,
  OUTPUT: priority.natDestination,
  INPUT: priority.natSource,
  POSTROUTING: priority.natSource,
} as const

/** Marks the head of every nat chain, which only the first packet of a flow sees. */
function markNat(notebook: Notebook, ns: Namespace): void {
  for (const hook of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'] as const) {
    for (const family of [4, 6] as const) {
      ns.netfilter.register({
        family,
        hook,
        priority: natPriority[hook] - before,
        run: (_ns, skb) => {
          if (asksNatRules(skb, hook)) notebook.packet(`${ns.name}:nat.${hook}`, skb)
          return 'accept'
        },
      })
    }
  }
}

/** Marks the head of every chain of iptables and ip6tables. */
export function markChains(notebook: Notebook, ns: Namespace): void {
  markNat(notebook, ns)
  for (const table of ['raw', 'mangle', 'filter'] as const) {
    for (const hook of chains[table]) {
      for (const family of [4, 6] as const) {
        ns.netfilter.register({
          family,
          hook,
          priority: priority[table] - before,
          run: (_ns, skb) => {
            notebook.packet(`${ns.name}:${table}.${hook}`, skb)
            return 'accept'
          },
        })
      }
    }
  }
}
