// What a running case carries along: the machine, the flows by label, what was captured.
import type { Booted } from '../boot/boot.ts'
import type { Listener } from '../boot/listeners.ts'
import type { Machine } from '../kernel/machine.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import type { Value } from '../model/claim.ts'
import type { CaseModel } from '../model/model.ts'
import type { Conversation } from './conversation.ts'
import type { FlowResult } from './expect/context.ts'

/** Mutable state of one case while its steps are taken. */
export class Run {
  readonly booted: Booted
  readonly machine: Machine
  readonly model: CaseModel
  readonly captured = new Map<string, Value>()
  readonly conversations = new Map<string, Conversation>()
  readonly listeners: Listener[]
  /** Connections that an echo or discard program has accepted. */
  readonly serving = new Set<TcpSocket>()
  /** The first limit that was reached. */
  limit: string | undefined

  constructor(booted: Booted, model: CaseModel) {
    this.booted = booted
    this.machine = booted.machine
    this.model = model
    this.listeners = [...booted.listeners]
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
   * Lets time pass until something holds, timer by timer; false when nothing more can happen, or not within `most`
   * nanoseconds. Time stands still as soon as it holds.
   */
  waitFor(holds: () => boolean, most: number): boolean {
    const { clock } = this.machine
    const end = clock.now + most
    this.settle()
    while (!holds()) {
      const next = clock.nextTimer()
      if (next === undefined || next > end || this.limit !== undefined) return false
      if (clock.advance(next) === 'limit') this.limit ??= 'tasksMax'
    }
    this.noteLimits()
    return true
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
