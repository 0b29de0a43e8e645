// The one door through which the kernel writes a trace. A machine without a Recorder pays one comparison per hook.
import type { Decision, Fact, HookEvent, Outcome, PacketTrace, Snapshot, Stage } from './event.ts'

/** What the recorder needs to see of a packet: the kernel's Skb and XdpBuff have these. */
export interface Recordable {
  /** The record that the packet writes into; clones share it. */
  record: PacketRecord | undefined
  /** The last snapshot taken of this copy: what the next hook compares with. */
  seen: Snapshot | undefined
  /** Copies the packet as it is now. */
  snapshot(): Snapshot
  /** Whether the packet is still what a snapshot shows: asked before every copy, because most hooks change nothing. */
  shows(snapshot: Snapshot): boolean
}

/** A packet record while it is being written. */
export interface PacketRecord extends PacketTrace {
  readonly events: HookEvent[]
  readonly outcomes: Outcome[]
  /** How many packets of each kind this one has caused (`icmp` -> 2): numbers the names. */
  readonly children: Map<string, number>
  /** The label of the connection that it belongs to: `f1`, `f1.upstream`; '' for packets of no socket. */
  readonly flow: string
}

/** Where an event stands. */
export interface Site {
  readonly node: string
  readonly device: string
  readonly stage: Stage
  readonly chain?: string
}

interface OpenHook {
  readonly packet: Recordable
  readonly site: Site
  readonly actor: string
  readonly before: Snapshot
  readonly facts: Fact[]
  readonly nested: HookEvent[]
}

const nothing: readonly never[] = []

interface EventParts {
  readonly site: Site
  readonly actor: string
  readonly decision: Decision | undefined
  readonly facts: readonly Fact[]
  readonly nested: readonly HookEvent[]
}

/** An event; always of one shape, because one is made for every hook of every packet. */
function eventOf(
  { site, actor, decision, facts, nested }: EventParts,
  before: Snapshot,
  after: Snapshot,
  time: number,
): HookEvent {
  const { node, device, stage, chain } = site
  return { node, device, stage, chain, actor, decision, before, after, facts, nested, time }
}

/**
 * Collects packet records in the order of their birth. `begin`/`end` bracket a program's run, so that facts that maps
 * and helpers report in between belong to it; runs inside runs nest.
 */
export class Recorder {
  readonly packets: PacketRecord[] = []
  /** Whether lookups, helper calls and the `full` stages are wanted. */
  readonly full: boolean
  private readonly open: OpenHook[] = []
  private readonly names = new Set<string>()
  private readonly now: () => number

  constructor(options: { readonly full: boolean; readonly now: () => number }) {
    this.full = options.full
    this.now = options.now
  }

  /** Starts the record of a packet and ties the packet to it. A name in use gets a number: `p1.icmp`, `p1.icmp2`. */
  birth(
    packet: Recordable,
    options: { readonly name: string; readonly cause?: string; readonly flow?: string },
  ): PacketRecord {
    let name = options.name
    for (let count = 2; this.names.has(name); count += 1) name = `${options.name}${count}`
    this.names.add(name)
    const first = packet.snapshot()
    const record: PacketRecord = {
      name,
      cause: options.cause ?? '',
      first,
      events: [],
      outcomes: [],
      children: new Map(),
      flow: options.flow ?? '',
    }
    this.packets.push(record)
    packet.record = record
    packet.seen = first
    return record
  }

  /** Records a hook that is over at once. */
  note(
    packet: Recordable,
    site: Site,
    what: { readonly actor?: string; readonly decision?: Decision; readonly facts?: readonly Fact[] } = {},
  ): void {
    const record = packet.record
    if (record === undefined) return
    const before = this.before(packet)
    const after = this.after(packet, before)
    const { actor = '', decision, facts = nothing } = what
    this.place(record, eventOf({ site, actor, decision, facts, nested: nothing }, before, after, this.now()))
  }

  /** Records a stage of the machine itself behind a packet that has gone on: the packet is not looked at again. */
  aside(packet: Recordable, site: Site, decision: Decision): void {
    this.afterwards(packet, site, { actor: 'kernel', decision, facts: nothing })
  }

  /** Records what a program made of a packet's bytes after it had read them: the packet itself is gone. */
  afterwards(
    { record, seen }: Pick<Recordable, 'record' | 'seen'>,
    site: Site,
    what: { readonly actor: string; readonly decision: Decision; readonly facts: readonly Fact[] },
  ): void {
    if (record === undefined || seen === undefined) return
    this.place(record, eventOf({ site, ...what, nested: nothing }, seen, seen, this.now()))
  }

  /** Opens the run of a program (or of any hook that others report facts to). Must be followed by `end`. */
  begin(packet: Recordable, site: Site, actor: string): void {
    this.open.push({ packet, site, actor, before: this.before(packet), facts: [], nested: [] })
  }

  /**
   * The open run goes on in a program that belongs to another device (a tail call into a shared program array): what
   * follows is that program's, until `leave`. Without an open run nothing happens.
   */
  enter(device: string, stage: Stage, actor: string): void {
    const outer = this.open.at(-1)
    if (outer === undefined) return
    const site = { node: outer.site.node, device, stage }
    const before = this.after(outer.packet, this.before(outer.packet))
    this.open.push({ packet: outer.packet, site, actor, before, facts: [], nested: [] })
  }

  /** Ends what `enter` began. */
  leave(): void {
    const hook = this.open.at(-1)
    if (hook !== undefined) this.end(hook.packet, undefined)
  }

  /** Adds a fact to the innermost open hook; without one the fact is dropped. */
  fact(fact: Fact): void {
    this.open.at(-1)?.facts.push(fact)
  }

  /** Closes the innermost open hook. */
  end(packet: Recordable, decision: Decision | undefined): void {
    const hook = this.open.pop()
    const record = packet.record
    if (hook === undefined || record === undefined) return
    const after = this.after(packet, hook.before)
    const { site, actor, facts, nested } = hook
    this.place(record, eventOf({ site, actor, decision, facts, nested }, hook.before, after, this.now()))
  }

  /** Says how a copy of a packet ended. */
  outcome(packet: Recordable, outcome: Outcome): void {
    packet.record?.outcomes.push(outcome)
  }

  private before(packet: Recordable): Snapshot {
    if (packet.seen !== undefined) return packet.seen
    const taken = packet.snapshot()
    packet.seen = taken
    return taken
  }

  private after(packet: Recordable, before: Snapshot): Snapshot {
    if (packet.shows(before)) return before
    const taken = packet.snapshot()
    packet.seen = taken
    return taken
  }

  private place(record: PacketRecord, event: HookEvent): void {
    const outer = this.open.at(-1)
    if (outer === undefined) record.events.push(event)
    else outer.nested.push(event)
  }
}
