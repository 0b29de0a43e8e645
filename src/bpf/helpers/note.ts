// Level full: one fact for each helper call, with arguments and result as text. Only reached while such a trace is
// wanted. Lookups and tail calls have facts of their own.
import type { RunContext } from '../contract.ts'
import { hexText } from '../maps/layout.ts'
import type { HelperName } from './table.ts'

const ownFacts = new Set<HelperName>([
  'map_lookup_elem',
  'map_lookup_percpu_elem',
  'tail_call',
  'trace_printk',
  'redirect_map',
])
const bytesShownMax = 64

function argument(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (value === undefined) return 'NULL'
  if (value instanceof Uint8Array) {
    const cut = value.length > bytesShownMax ? '...' : ''
    return `0x${hexText(value.subarray(0, bytesShownMax))}${cut}`
  }
  if (typeof value === 'function') return 'callback'
  if (typeof value === 'object' && value !== null && 'spec' in value) {
    return (value.spec as { readonly name: string }).name
  }
  return 'pointer'
}

/** Tells the trace of a call. A result that is a pointer counts as 1, NULL as 0. */
export function noteHelper(
  context: RunContext,
  name: HelperName,
  values: readonly unknown[],
  result: unknown,
): void {
  if (ownFacts.has(name)) return
  const number = typeof result === 'number' ? result : result === undefined ? 0 : 1
  const args = values.map(argument).join(', ')
  context.trace?.fact({ kind: 'helper', name: `bpf_${name}`, args, result: number })
}

/** Calls a helper for a small program and tells a full trace of it. */
export function tracedCall<Rest extends readonly unknown[], Result>(
  context: RunContext,
  name: HelperName,
  call: (context: RunContext, ...rest: Rest) => Result,
  ...rest: Rest
): Result {
  const result = call(context, ...rest)
  if (context.trace?.full) noteHelper(context, name, rest, result)
  return result
}
