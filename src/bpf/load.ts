// BPF_PROG_LOAD for programs written in TypeScript: a definition enters; a program with its maps leaves, or the reason
// why the kernel's verifier would refuse it.
import type { Program, ProgramType } from './contract.ts'
import type { ErrnoName } from './errno.ts'
import { type HelperName, mayCall, refusalText } from './helpers/table.ts'
import type { References } from './lifetime.ts'
import { type AnyMap, createMap } from './maps/create.ts'
import type { MapSpec } from './maps/map.ts'
import { ProgArray } from './maps/prog-array.ts'
import { type LiveMaps, type MapSpecs, nativeProgram, type ProgramDefinition } from './native.ts'
import { offloadRefusal } from './offload.ts'

/** A program that can be attached. The loader holds file descriptors of the program and of every map it made. */
export interface LoadedProgram extends Program {
  readonly references: References
}

export type Loaded<Specs extends MapSpecs = MapSpecs> =
  | { readonly kind: 'loaded'; readonly program: LoadedProgram; readonly maps: LiveMaps<Specs> }
  | Refusal

export interface Refusal {
  readonly kind: 'refused'
  readonly errno: ErrnoName
  readonly message: string
}

function refusal(errno: ErrnoName, message: string): Refusal {
  return { kind: 'refused', errno, message }
}

/** Lists of helpers that a type may call: many programs declare one and the same. */
const allowed = new WeakMap<readonly HelperName[], Set<ProgramType>>()

function refusedHelper(type: ProgramType, uses: readonly HelperName[]): Refusal | undefined {
  if (allowed.get(uses)?.has(type) === true) return undefined
  const wrong = uses.find((name) => !mayCall(type, name))
  if (wrong !== undefined) return refusal('EINVAL', refusalText(type, wrong))
  allowed.set(uses, (allowed.get(uses) ?? new Set()).add(type))
  return undefined
}

function fits(spec: MapSpec, given: MapSpec): boolean {
  return spec.type === given.type && spec.keySize === given.keySize && spec.valueSize === given.valueSize
}

/** One map of a program: the one that is given for it, or a new one. */
function mapFor(spec: MapSpec, given: AnyMap | undefined, cpus: number): AnyMap | Refusal {
  if (given === undefined) {
    const made = createMap(spec, { cpus })
    return made.kind === 'made' ? made.map : refusal(made.errno, `map ${spec.name} cannot be created`)
  }
  if (!fits(spec, given.spec)) return refusal('EINVAL', `map ${given.spec.name} does not fit the declaration`)
  return given
}

/**
 * Loads a program. `given` are maps to use instead of new ones (shared or pinned ones), under the definition's names.
 * Refused: a helper that the type may not call, a map that cannot be made or does not fit, a program array that
 * belongs to another type. Only file descriptors of new maps are the caller's to close.
 */
export function loadProgram<Type extends ProgramType, Uses extends HelperName, Specs extends MapSpecs>(
  definition: ProgramDefinition<Type, Uses, Specs>,
  options: {
    readonly cpus: number
    readonly given?: Readonly<Record<string, AnyMap>>
    /** For a program that is to run on the NIC. */
    readonly offload?: 'device'
  },
): Loaded<Specs> {
  const wrong = refusedHelper(definition.type, definition.uses)
  if (wrong !== undefined) return wrong
  if (options.offload !== undefined) {
    const { type, uses } = definition
    const unable = offloadRefusal({ type, uses, maps: Object.values(definition.maps) })
    if (unable !== undefined) return refusal('EOPNOTSUPP', unable)
  }
  const maps: Record<string, AnyMap> = {}
  for (const [name, spec] of Object.entries(definition.maps)) {
    const map = mapFor(spec, options.given?.[name], options.cpus)
    if ('kind' in map) return map
    if (map instanceof ProgArray && !map.accepts(definition.type)) {
      return refusal('EINVAL', `program array ${map.spec.name} holds programs of type ${map.owner}`)
    }
    maps[name] = map
  }
  const held = Object.values(maps)
  for (const map of held) map.references.hold()
  // filled above with one map of the right class for each name
  const live = maps as LiveMaps<Specs>
  const program = nativeProgram(definition, live, () => {
    for (const map of held) map.references.release()
  })
  program.references.holdUser()
  return { kind: 'loaded', program, maps: live }
}
