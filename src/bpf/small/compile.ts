// The executor of small programs: the neutral form is compiled once to functions over numeric offsets; a run then tries
// the rules from top to bottom and builds no text and no object but its own state.
import { tcCode, xdpCode } from '../codes.ts'
import type { Program, RunContext } from '../contract.ts'
import { fault } from '../fault.ts'
import { References } from '../lifetime.ts'
import type { AnyMap } from '../maps/create.ts'
import { ProgArray } from '../maps/prog-array.ts'
import { actionOf } from './actions.ts'
import { SmallRun } from './headers.ts'
import type { IrRule, SmallIr, SmallShape } from './ir.ts'
import type { ActionOf } from './set-field.ts'
import { type TestOf, testOf } from './tests.ts'

interface Rule {
  readonly test: TestOf | undefined
  readonly actions: readonly ActionOf[]
  /** undefined goes on to the next rule. */
  readonly code: number | undefined
  /** Whether the code is REDIRECT, so that the answer of redirect-map counts. */
  readonly redirects: boolean
}

function ruleOf(ir: SmallShape, rule: IrRule): Rule {
  const redirect =
    ir.type === 'xdp' ? xdpCode.XDP_REDIRECT : ir.type === 'sched_cls' ? tcCode.TC_ACT_REDIRECT : undefined
  return {
    test: rule.test === undefined ? undefined : testOf(ir.maps, rule.test),
    actions: rule.actions.map((action) => actionOf(ir, action)),
    code: rule.code === 'continue' ? undefined : rule.code,
    redirects: rule.code === redirect,
  }
}

function runRules(rules: readonly Rule[], otherwise: number, run: SmallRun): number {
  for (const rule of rules) {
    if (rule.test !== undefined && !rule.test(run)) continue
    for (const action of rule.actions) {
      action(run)
      if (run.stop !== undefined) return run.stop
    }
    if (rule.code === undefined) continue
    return rule.redirects && run.redirectCode >= 0 ? run.redirectCode : rule.code
  }
  return otherwise
}

/** The code of a small program, without maps: immutable, shared by all of its instances in all cases. */
export interface SmallCode {
  readonly name: string
  readonly type: SmallIr['type']
  readonly rules: readonly Rule[]
  readonly otherwise: number
}

/**
 * Translates a small program once. An impossible program (a set of what cannot be set) is a mistake of the checks before
 * and throws ProgramFault here, before anything runs.
 */
export function translateSmall(shape: SmallShape): SmallCode {
  const { name, type, otherwise } = shape
  return { name, type, otherwise, rules: shape.rules.map((rule) => ruleOf(shape, rule)) }
}

/**
 * Makes a small program that can be attached from its code and its maps, in the order of the shape. It holds its maps
 * until its own last reference goes; the caller has a file descriptor of it. A tail call into another type throws
 * ProgramFault.
 */
export function loadSmall(
  code: SmallCode,
  maps: readonly AnyMap[],
): Program & { readonly references: References } {
  const { name, type, rules, otherwise } = code
  for (const map of maps) {
    if (map instanceof ProgArray && !map.accepts(type)) {
      fault(`program array ${map.spec.name} holds programs of type ${map.owner}`)
    }
  }
  for (const map of maps) map.references.hold()
  const references = new References({
    onFree: () => {
      for (const map of maps) map.references.release()
    },
  })
  references.holdUser()
  // a clone redirect may run the same program again before it is over, so there may be several states
  const idle: SmallRun[] = []
  const run = (context: RunContext): number => {
    const state = idle.pop() ?? new SmallRun(context, maps)
    state.reset(context)
    const answer = runRules(rules, otherwise, state)
    idle.push(state)
    return answer
  }
  return { name, type, references, run }
}

/** Translates a program and makes its only instance. */
export function compileSmall(ir: SmallIr): Program & { readonly references: References } {
  return loadSmall(
    translateSmall(ir),
    ir.maps.map(({ map }) => map),
  )
}
