// A program's own fault: what the kernel's verifier would have refused before the program ever ran. There is no
// verifier here, so it shows when it happens. It is thrown so that no further instruction runs, and `runProgram` is the
// only place that catches it; it never leaves this folder.

/** Stops the running program; `message` is one lower-case sentence in the verifier's words where it has any. */
export class ProgramFault extends Error {
  override readonly name = 'ProgramFault'
}

/** Stops the running program with a message. */
export function fault(message: string): never {
  throw new ProgramFault(message)
}
