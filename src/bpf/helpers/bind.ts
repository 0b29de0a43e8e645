// Helpers as a TypeScript program sees them: `helpers.redirect(ifindex, 0)`. Only those that the program declares are
// there, so that calling another is a mistake the compiler sees; a call that gets past the compiler stops the program.
import type { ProgramType, RunContext } from '../contract.ts'
import { fault } from '../fault.ts'
import type { AnyMap } from '../maps/create.ts'
import type { LookedUp } from './map.ts'
import { noteHelper } from './note.ts'
import { type HelperName, helperNames, helperTable, mayCall, refusalText } from './table.ts'

/** A helper without its first argument, the run. A tail call that succeeds does not come back. */
type Bound<Name extends HelperName> = Name extends 'tail_call'
  ? (map: AnyMap, index: number) => number
  : Name extends 'map_lookup_elem'
    ? <M extends AnyMap>(map: M, key: Uint8Array) => LookedUp<M>
    : (typeof helperTable)[Name]['call'] extends (context: RunContext, ...rest: infer Rest) => infer Result
      ? (...rest: Rest) => Result
      : never

/** The helpers that a program declared. */
export type HelpersOf<Names extends HelperName> = { readonly [Name in Names]: Bound<Name> }

/** Thrown by a tail call that succeeded: nothing behind it runs. Caught where a TypeScript program is run. */
export const tailCallTaken: unique symbol = Symbol('tail call')

const emptySlot = -2

type AnyCall = (context: RunContext, ...rest: readonly unknown[]) => unknown

interface Frame {
  readonly context: RunContext
}

function tailCall(this: Frame, map: AnyMap, index: number): number {
  const target = helperTable.tail_call.call(this.context, map, index)
  if (target === undefined) return emptySlot
  this.context.next = target
  throw tailCallTaken
}

function bound(name: HelperName): (this: Frame, ...rest: readonly unknown[]) => unknown {
  const call = helperTable[name].call as AnyCall
  return function (this: Frame, ...rest: readonly unknown[]): unknown {
    const result = call(this.context, ...rest)
    if (this.context.trace?.full) noteHelper(this.context, name, rest, result)
    return result
  }
}

function refuser(name: HelperName, text: string): () => never {
  return () => fault(text.replace('%', name))
}

/** A function for every name; programs of one type that declare the same list share them. */
function prototypeOf(type: ProgramType, uses: readonly HelperName[]): object {
  const declared = new Set<string>(uses)
  const prototype: Record<string, unknown> = {}
  for (const name of helperNames) {
    if (!mayCall(type, name)) prototype[name] = refuser(name, refusalText(type, name))
    else if (!declared.has(name)) prototype[name] = refuser(name, 'helper bpf_% is not declared in uses')
    else prototype[name] = name === 'tail_call' ? tailCall : bound(name)
  }
  return prototype
}

const prototypes = new WeakMap<readonly HelperName[], Map<ProgramType, object>>()

/** Makes the helpers of one program: a function that binds them to a run without looking anything up again. */
export function bindHelpers<Names extends HelperName>(
  type: ProgramType,
  uses: readonly Names[],
): (context: RunContext) => HelpersOf<Names> {
  const known = prototypes.get(uses) ?? new Map<ProgramType, object>()
  prototypes.set(uses, known)
  const prototype = known.get(type) ?? prototypeOf(type, uses)
  known.set(type, prototype)
  return (context) => {
    const helpers = Object.create(prototype) as { context: RunContext }
    helpers.context = context
    // the prototype has a function for every name; the type shows only the declared ones
    return helpers as unknown as HelpersOf<Names>
  }
}
