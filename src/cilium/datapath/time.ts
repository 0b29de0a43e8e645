// The clock of conntrack, NAT and affinity entries. lib/time.h
import type { Ctx } from './ctx.ts'

const nanosecondsPerSecond = 1e9

/** bpf_mono_now(): seconds since boot. The jiffies clock source (enable_jiffies) is not modelled. */
export function monoNow(ctx: Ctx): number {
  return Math.floor(ctx.nowNs() / nanosecondsPerSecond)
}
