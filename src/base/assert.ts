// Our own mistakes. A person's mistake is a Diagnostic, a packet's fate is a Drop; only this stops a run.

/** Raised when the program contradicts itself; the command line reports it as an engine error (exit code 4). */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Stops the run when something that the code relies on does not hold. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(what)
}

/** Stops the run at a place that the types say is never reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}

/** The value, which must be there. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(what)
  return value
}
