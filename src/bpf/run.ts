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
  const { trace } = context
  context.journal = new MapJournal(context.kernel.cpu)
  const code = follow(program, context)
  journalOf(context)?.report(trace)
  context.journal = undefined
  for (; (context.entered ?? 0) > 0; context.entered = (context.entered ?? 0) - 1) trace.leave()
  return code
}

/** The journal as it is now: a run that went on at another device has a new one. */
function journalOf(context: RunContext): MapJournal | undefined {
  return context.journal
}

/** What was done so far belongs to the caller; what follows to the device whose program was called. */
function enterDevice(context: RunContext, program: Program): void {
  const { trace, nextDevice } = context
  if (trace === undefined || nextDevice === undefined) return
  context.journal?.report(trace)
  context.journal = new MapJournal(context.kernel.cpu)
  context.nextDevice = undefined
  context.entered = (context.entered ?? 0) + 1
  trace.enter(nextDevice, 'policy', program.name)
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
    if (program !== undefined && context.nextDevice !== undefined) enterDevice(context, program)
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
