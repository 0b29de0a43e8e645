// Programs written in TypeScript: the first kind that the program contract knows. `defineProgram` is the blueprint, and
// `loadProgram` (load.ts) makes a program with live maps of it.
import { SkbContext } from './context/skb.ts'
import { SockAddrContext } from './context/sock-addr.ts'
import { XdpContext } from './context/xdp.ts'
import type { Program, ProgramType, RunContext } from './contract.ts'
import { fault } from './fault.ts'
import { bindHelpers, type HelpersOf, tailCallTaken } from './helpers/bind.ts'
import type { HelperName } from './helpers/table.ts'
import { References } from './lifetime.ts'
import type { MapOf } from './maps/create.ts'
import type { MapSpec } from './maps/map.ts'

/** What a program of each type is called with. */
export type ContextOf<Type extends ProgramType> = Type extends 'xdp'
  ? XdpContext
  : Type extends 'sched_cls' | 'cgroup_skb' | 'socket_filter'
    ? SkbContext
    : Type extends 'cgroup_sock_addr'
      ? SockAddrContext
      : RunContext

export type MapSpecs = Readonly<Record<string, MapSpec>>

/** The live maps of a program, under the names it gave them. */
export type LiveMaps<Specs extends MapSpecs> = { readonly [Name in keyof Specs]: MapOf<Specs[Name]['type']> }

/** A program before it is loaded. */
export interface ProgramDefinition<
  Type extends ProgramType = ProgramType,
  Uses extends HelperName = HelperName,
  Specs extends MapSpecs = MapSpecs,
> {
  readonly name: string
  readonly type: Type
  /** Every helper it calls; others are not there. */
  readonly uses: readonly Uses[]
  readonly maps: Specs
  /** Returns the 32-bit code. It must behave like a program: no state of its own between runs but its maps. */
  run(context: ContextOf<Type>, helpers: HelpersOf<Uses>, maps: LiveMaps<Specs>): number
}

/** Checks a definition's types and gives it back unchanged. */
export function defineProgram<
  const Type extends ProgramType,
  const Uses extends HelperName,
  const Specs extends MapSpecs,
>(definition: ProgramDefinition<Type, Uses, Specs>): ProgramDefinition<Type, Uses, Specs> {
  return definition
}

function contextFor(type: ProgramType, context: RunContext): unknown {
  switch (type) {
    case 'xdp':
      return new XdpContext(context)
    case 'sched_cls':
    case 'cgroup_skb':
    case 'socket_filter':
      return new SkbContext(context)
    case 'cgroup_sock_addr':
      return new SockAddrContext(context)
    case 'cgroup_sock':
    case 'sock_ops':
    case 'sk_lookup':
      return context
  }
}

/**
 * The program that a hook runs. `maps` must be the maps of the definition; `onFree` runs when the last reference to the
 * program goes.
 */
export function nativeProgram<Type extends ProgramType, Uses extends HelperName, Specs extends MapSpecs>(
  definition: ProgramDefinition<Type, Uses, Specs>,
  maps: LiveMaps<Specs>,
  onFree: () => void,
): Program & { readonly references: References } {
  const { name, type } = definition
  const bind = bindHelpers<Uses>(type, definition.uses)
  const references = new References({ onFree })
  const run = (context: RunContext): number => {
    if (context.type !== type) fault(`a program of type ${type} was run at a hook for ${context.type}`)
    try {
      return definition.run(contextFor(type, context) as ContextOf<Type>, bind(context), maps)
    } catch (signal) {
      if (signal === tailCallTaken) return 0
      throw signal
    }
  }
  return { name, type, run, references }
}
