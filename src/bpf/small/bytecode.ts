// Small programs as real eBPF: the neutral form enters, instructions that the kernel's verifier accepts leave. The same
// program as compile.ts executes, so that a scenario can be tried on a real kernel (scn verify). Needs Linux 5.18
// (bpf_xdp_load_bytes).
import type { Bytecode } from '../asm/assembler.ts'
import { tcCode, xdpCode } from '../codes.ts'
import { emitAction } from './bytecode-action.ts'
import {
  address,
  at,
  context,
  type Emit,
  frame,
  leave,
  offsets,
  offsetsBytes,
  startEmit,
  walkAgain,
} from './bytecode-frame.ts'
import { emitTest } from './bytecode-test.ts'
import { emitWalk } from './bytecode-walk.ts'
import type { IrRule, SmallIr } from './ir.ts'

/** The map that a program needs besides its own: a per-CPU array with one value. Its number is `ir.maps.length`. */
export const scratchMap = {
  type: 'percpu_array',
  keySize: 4,
  valueSize: offsetsBytes,
  maxEntries: 1,
} as const

/** r6 = context, r7 = the value for the layers' offsets, no redirect yet, layers found. */
function begin(emit: Emit): void {
  const { asm } = emit
  const ready = asm.label()
  asm.move(context, 1)
  asm.storeNumber(8, frame, at.redirectCode, -1)
  asm.storeNumber(4, frame, at.key, 0)
  asm.map(1, emit.offsetsMap)
  address(emit, 2, at.key)
  asm.call('map_lookup_elem')
  asm.jumpIf('ne', 0, 0, ready)
  leave(emit, 0)
  asm.bind(ready)
  asm.move(offsets, 0)
  walkAgain(emit)
}

/** Returns a code; a rule that redirects returns what redirect-map answered. */
function decide(emit: Emit, code: number): void {
  const { asm } = emit
  const redirect: number = emit.xdp ? xdpCode.XDP_REDIRECT : tcCode.TC_ACT_REDIRECT
  if (code === redirect && !emit.bare) {
    const plain = asm.label()
    asm.load(8, 0, frame, at.redirectCode)
    asm.jumpIf('slt', 0, 0, plain)
    asm.exit()
    asm.bind(plain)
  }
  leave(emit, code)
}

function emitRule(emit: Emit, rule: IrRule): void {
  const next = emit.asm.label()
  if (rule.test !== undefined) emitTest(emit, rule.test, next)
  for (const action of rule.actions) emitAction(emit, action)
  if (rule.code !== 'continue') decide(emit, rule.code)
  emit.asm.bind(next)
}

/** Compiles a small program. What cannot be said throws ProgramFault, as in compileSmall. */
export function smallBytecode(ir: SmallIr): Bytecode {
  const emit = startEmit(ir)
  begin(emit)
  let open = true
  for (const rule of ir.rules) {
    emitRule(emit, rule)
    // the verifier refuses instructions that nothing reaches
    open = rule.test !== undefined || rule.code === 'continue'
    if (!open) break
  }
  if (open) leave(emit, ir.otherwise)
  emitWalk(emit)
  return emit.asm.finish()
}
