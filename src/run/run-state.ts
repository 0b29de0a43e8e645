// What a running case carries along: the machine, the flows by label, what was captured.
import type { Booted } from '../boot/boot.ts'
import type { Listener } from '../boot/listeners.ts'
import type { Machine } from '../kernel/machine.ts'
import { runUntil } from '../kernel/socket/waiting.ts'
import type { Value } from '../model/claim.ts'
import type { ClusterModel } from '../model/cluster.ts'
import type { CaseModel } from '../model/model.ts'
import type { StepTrace } from '../trace/event.ts'
import type { Conversation } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'
import type { Failure } from './verdict.ts'

/** Mutable state of one case while its steps are taken. */
export class Run {
  readonly booted: Booted
  readonly machine: Machine
  readonly model: CaseModel
  readonly captured = new Map<string, Value>()
  readonly conversations = new Map<string, Conversation>()
  readonly listeners: Listener[]
  /** The cluster as steps have changed it. */
  cluster: ClusterModel | undefined
  /** Steps that changed what agents are told, and what these did. */
  readonly steps: StepTrace[] = []
  /** What steps themselves found wrong. */
  readonly failures: Failure[] = []
  /** The first limit that was reached. */
  limit: string | undefined

  constructor(booted: Booted, model: CaseModel) {
    this.booted = booted
    this.machine = booted.machine
    this.model = model
    this.listeners = [...booted.listeners]
    this.cluster = model.world.cluster
    const { agents } = booted
    if (agents !== undefined) {
      agents.onJob = (title, nodes) =>
        this.steps.push({ title, packets: this.machine.trace?.packets.length ?? 0, nodes })
    }
  }

  /** Does everything that is due now. */
  settle(): void {
    if (this.machine.clock.drain() === 'limit') this.limit ??= 'tasksMax'
    this.noteLimits()
  }

  /** Lets time pass. */
  pass(nanoseconds: number): void {
    const { clock } = this.machine
    if (clock.advance(clock.now + nanoseconds) === 'limit') this.limit ??= 'tasksMax'
    this.noteLimits()
  }

  /**
   * Lets time pass until something holds, at most `most` nanoseconds; whether it holds. Time stands still as soon as it
   * does, and is up when it does not.
   */
  waitFor(holds: () => boolean, most: number): boolean {
    const how = runUntil(this.machine, holds, most)
    if (how === 'limit') this.limit ??= 'tasksMax'
    this.noteLimits()
    return how === 'done'
  }

  /** How every flow stands now. */
  flowResults(): ReadonlyMap<string, FlowResult> {
    const results = new Map<string, FlowResult>()
    for (const [label, conversation] of this.conversations) results.set(label, conversation.result())
    return results
  }

  private noteLimits(): void {
    for (const name of this.machine.reached) this.limit ??= name
  }
}
