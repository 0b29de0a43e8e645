// The clock of conntrack, NAT and affinity entries. lib/time.h, in 1.10 lib/mono.h
import type { NodeConfig } from './config.ts'
import type { Ctx } from './ctx.ts'

const nanosecondsPerSecond = 1e9
/** BPF_MONO_SCALER: so many ticks make a unit. */
export const ticksPerUnit = 256

/** bpf_mono_now(): seconds since boot, or 256 ticks each where the node counts ticks. */
export function monoNow(ctx: Ctx): number {
  if (ctx.node.enable_jiffies) return Math.floor(ctx.jiffies() / ticksPerUnit)
  return Math.floor(ctx.nowNs() / nanosecondsPerSecond)
}

/** bpf_sec_to_mono() */
export function secToMono({ enable_jiffies, kernel_hz }: NodeConfig, seconds: number): number {
  return enable_jiffies ? Math.floor((seconds * kernel_hz) / ticksPerUnit) : seconds
}
