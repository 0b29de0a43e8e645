// Every map that a program names is declared in it, with keys that fit and a type that the use can work with.
import type { Report } from '../../base/diagnostic.ts'
import { checkMapUses } from '../resolve/map.ts'
import type { WorldDraft } from '../resolve/world.ts'

/** All uses of maps in all programs. */
export function programMaps({ programs, scope }: WorldDraft, _report: Report): void {
  for (const { uses, maps } of programs) checkMapUses(uses.maps, maps, scope)
}
