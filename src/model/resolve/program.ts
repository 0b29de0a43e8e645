// Programs of one world: their maps with layouts, their words checked. What comes out has no word without a meaning.
import type { Program } from '../../syntax/ast.ts'
import type { CgroupSkbHook, MapModel, ProgramModel } from '../program.ts'
import { readMap } from './map.ts'
import { noUses, type ProgramUses, usesOf } from './program-uses.ts'
import type { Scope } from './scope.ts'

/** A small program with everything it mentions. */
export interface ProgramDraft {
  readonly name: string
  readonly syntax: Program
  readonly uses: ProgramUses
  readonly maps: ReadonlyMap<string, MapModel>
  readonly model: ProgramModel | undefined
}

export type HookFamily = 'xdp' | 'tc' | 'cgroup' | 'other'

/** Whether a type, or a hook, is one at which a cgroup sees packets. */
export function isCgroupSkb(type: string): type is CgroupSkbHook {
  return type === 'cgroup/ingress' || type === 'cgroup/egress'
}

/** The family of hooks that a program's type belongs to. */
export function hookFamily(type: string): HookFamily {
  if (type === 'xdp') return 'xdp'
  if (isCgroupSkb(type)) return 'cgroup'
  return type === 'tc' || type === 'tcx' || type === 'netkit' ? 'tc' : 'other'
}

/** Reads one program. Objects and types without an engine have no model. */
export function readProgram(name: string, syntax: Program, scope: Scope): ProgramDraft {
  const { body } = syntax
  if (body.kind === 'object') return { name, syntax, uses: noUses(), maps: new Map(), model: undefined }
  const uses = usesOf(body)
  const maps = new Map<string, MapModel>()
  for (const item of body.items) {
    if (item.kind !== 'map' || maps.has(item.name.text)) continue
    const own = uses.maps.filter((use) => use.map.text === item.name.text)
    maps.set(item.name.text, readMap(item, own, scope))
  }
  const family = hookFamily(syntax.type)
  const type: ProgramModel['type'] = isCgroupSkb(syntax.type) ? syntax.type : family === 'xdp' ? 'xdp' : 'tc'
  const model =
    family === 'other' ? undefined : { name, type, maps: [...maps.values()], body, span: syntax.name.span }
  return { name, syntax, uses, maps, model }
}
