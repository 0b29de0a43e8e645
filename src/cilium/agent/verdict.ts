// What a rule about an agent's settings comes to, and the comparison of kernels that most rules make.
import type { AgentConfig } from './config.ts'

export type Verdict =
  | {
      readonly kind: 'refused'
      readonly flags: readonly string[]
      readonly message: string
      readonly hint?: string
    }
  | {
      readonly kind: 'fallback'
      readonly flags: readonly string[]
      readonly message: string
      readonly hint?: string
      readonly change: Partial<AgentConfig>
    }
  /** The agent says nothing. */
  | { readonly kind: 'silent'; readonly change: Partial<AgentConfig> }

export type Gate = (config: AgentConfig) => Verdict | undefined

/**
 * Whether a kernel version is at least another: `5.10` against `4.19.57`. A version without its last number is the newest of
 * its series, so `4.9` is at least `4.9.17`.
 */
export function atLeast(kernel: string, minimum: string): boolean {
  const parts = (text: string): readonly number[] => text.split('.').map(Number)
  const own = parts(kernel)
  for (const [index, wanted] of parts(minimum).entries()) {
    const part = own[index]
    if (part === undefined) return true
    if (part !== wanted) return part > wanted
  }
  return true
}

/** The agent does not start: its message, and what else may be written. */
export function refuse(flags: readonly string[], message: string, hint?: string): Verdict {
  return { kind: 'refused', flags, message, ...(hint === undefined ? {} : { hint }) }
}

/** The agent logs the message and works with these changes. */
export function fall(flags: readonly string[], message: string, change: Partial<AgentConfig>): Verdict {
  return { kind: 'fallback', flags, message, change }
}
