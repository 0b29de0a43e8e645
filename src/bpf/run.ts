// One run of an attached program: what a hook calls. A program and a context enter; the 32-bit code leaves, and the
// context says where the packet is to go (`redirect`) and whether the program was at fault (`fault`).
import { faultCode } from './codes.ts'
import type { Program, RunContext } from './contract.ts'
import { ProgramFault } from './fault.ts'
import { MapJournal } from './maps/journal.ts'

/**
 * Runs a program, follows its tail calls to the end, and reports map changes to the trace.
 *
 * A hook may use one context for several programs: tail calls and faults start afresh, while `redirect` stays as the
 * program before left it (the kernel's bpf_redirect_info does so too). The code is signed, as `bpf_prog_run()` hands it to a hook.
 * A fault of the program never throws: `context.fault` names program and mistake, and the hook drops the packet.
 */
export function runProgram(program: Program, context: RunContext): number {
  context.tailCalls = 0
  if (context.fault !== undefined) context.fault = undefined
  if (context.trace === undefined) return follow(program, context)
  const journal = new MapJournal(context.kernel.cpu)
  context.journal = journal
  const code = follow(program, context)
  context.journal = undefined
  journal.report(context.trace)
  return code
}

/** The main function of every tail-called program in turn; there is no way back to the caller. */
function follow(first: Program, context: RunContext): number {
  let program: Program | undefined = first
  let code = 0
  while (program !== undefined) {
    context.next = undefined
    try {
      code = program.run(context) | 0
    } catch (problem) {
      if (!(problem instanceof ProgramFault)) throw problem
      return faulted(program, problem, context)
    }
    program = context.next
  }
  return code
}

function faulted(program: Program, problem: ProgramFault, context: RunContext): number {
  context.next = undefined
  context.redirect = { kind: 'none' }
  context.fault = { program: program.name, message: problem.message }
  context.trace?.fact({ kind: 'kernel', word: 'fault', text: `${program.name}: ${problem.message}` })
  return faultCode(program.type)
}
