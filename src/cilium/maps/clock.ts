// The clock of conntrack and NAT entries as the agent and its tool read it. pkg/maps/timestamp
import { jiffiesAt, kernelHz } from '../../bpf/helpers/general.ts'
import type { AgentConfig } from '../agent/config.ts'
import { ticksPerUnit } from '../datapath/time.ts'

const nanosecondsPerSecond = 1e9

export interface EntryClock {
  /** GetCTCurTime(): now, in the unit of entries. */
  readonly now: number
  /** NewCTTimeToSecConverter() */
  readonly seconds: (units: number) => number
  /** Seconds since boot. */
  readonly uptime: number
}

/** The clock of a node that has been up for `ns` nanoseconds. */
export function entryClock({ clockSource }: Pick<AgentConfig, 'clockSource'>, ns: number): EntryClock {
  const uptime = Math.floor(ns / nanosecondsPerSecond)
  if (clockSource === 'ktime') return { now: uptime, seconds: (units) => units, uptime }
  const seconds = (units: number): number => Math.floor((units * ticksPerUnit) / kernelHz)
  return { now: Math.floor(jiffiesAt(ns) / ticksPerUnit), seconds, uptime }
}
