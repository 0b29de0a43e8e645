// Helpers that every type of program may call: time, chance, the CPU, messages, loops.
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'

/** Ticks a second of the simulated kernel (CONFIG_HZ of the machine that the facts were observed on). */
export const kernelHz = 250

/** INITIAL_JIFFIES: the counter starts five minutes before its 32-bit half wraps. */
const initialJiffies = 0x1_0000_0000 - 300 * kernelHz

/** BPF_MAX_LOOPS */
const loopsMax = 1 << 23

/** bpf_ktime_get_ns: nanoseconds since boot. */
export function ktimeGetNs(context: RunContext): number {
  return context.kernel.nowNs()
}

/** jiffies_64 at a time since boot (nanoseconds). */
export function jiffiesAt(ns: number): number {
  return initialJiffies + Math.floor(ns / (1_000_000_000 / kernelHz))
}

/** bpf_jiffies64. */
export function jiffies64(context: RunContext): number {
  return jiffiesAt(context.kernel.nowNs())
}

/** bpf_get_prandom_u32. */
export function prandomU32(context: RunContext): number {
  return context.kernel.random32() >>> 0
}

/** bpf_get_smp_processor_id. */
export function smpProcessorId(context: RunContext): number {
  return context.kernel.cpu
}

/** bpf_get_numa_node_id: there is one node. */
export function numaNodeId(_context: RunContext): number {
  return 0
}

/** bpf_trace_printk: `%d %i %u %x %p %s %%` with their l's; the line shows at level full. Bytes written. */
export function tracePrintk(
  context: RunContext,
  format: string,
  ...values: readonly (number | string | undefined)[]
): number {
  let next = 0
  const text = format.replace(
    /%(?:%|[-#0 ]*\d*(?:h{0,2}|l{0,2})([diuxXps]))/g,
    (all, conversion?: string) => {
      if (conversion === undefined) return '%'
      const value = values[next]
      next += 1
      return value === undefined ? all : printed(conversion, value)
    },
  )
  if (context.trace?.full) context.trace.fact({ kind: 'kernel', word: 'printk', text: text.trimEnd() })
  return text.length
}

function printed(conversion: string, value: number | string): string {
  if (typeof value === 'string') return value
  const hex = conversion === 'x' || conversion === 'X' || conversion === 'p'
  return hex ? (value >>> 0).toString(16) : String(value)
}

/** bpf_loop: calls back with 0, 1, ... until it answers 1; the number of calls, or -E2BIG, -EINVAL. */
export function loop(
  _context: RunContext,
  count: number,
  callback: (index: number) => number,
  flags = 0,
): number {
  if (flags !== 0) return -errno.EINVAL
  if (count > loopsMax) return -errno.E2BIG
  for (let index = 0; index < count; index += 1) if (callback(index) !== 0) return index + 1
  return count
}
