// A command line that cannot be understood: the sentence, and exit code 2.

/** Raised by commands for wrong arguments; the program prints it and exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
