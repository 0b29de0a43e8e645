// What the process answers to whoever called it.

export const exitCode = {
  passed: 0,
  /** An expectation failed, or a golden changed, is missing or obsolete. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** A spec does not parse or check. */
  rejected: 3,
  /** Our own mistake, or an engine that does not exist yet. */
  engine: 4,
  /** Nothing was selected. */
  nothing: 5,
  interrupted: 130,
} as const

/** The worst of several answers: 4 over 3 over 1 over 0. */
export function worst(codes: Iterable<number>): number {
  let found = 0
  for (const code of codes) if (code > found) found = code
  return found
}
