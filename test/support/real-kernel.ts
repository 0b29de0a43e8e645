// Whether the kernel that tests run on can be asked.
import { NotPossible } from '../../src/oracle/native.ts'
import { type Oracle, openOracle } from '../../src/oracle/verify.ts'

/** The kernel, or why it cannot be asked: needs Linux, root and koffi. */
export function realKernel(): Oracle | string {
  try {
    return openOracle(() => performance.now())
  } catch (problem) {
    if (problem instanceof NotPossible) return problem.message
    throw problem
  }
}
