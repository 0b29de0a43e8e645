// Programs that pin a map under one name share it, so their declarations must describe the same map (libbpf refuses to
// reuse a pinned map whose definition differs).
import type { Report } from '../../base/diagnostic.ts'
import { mistake } from '../diagnose.ts'
import type { MapModel } from '../program.ts'
import type { WorldDraft } from '../resolve/world.ts'

/** All pinned maps of all programs. */
export function pinsAgree({ programs }: WorldDraft, report: Report): void {
  const pins = new Map<string, MapModel>()
  for (const { maps } of programs) {
    for (const map of maps.values()) {
      if (map.pinned === undefined) continue
      const first = pins.get(map.pinned)
      if (first === undefined) pins.set(map.pinned, map)
      else if (describe(first) !== describe(map)) {
        report(
          mistake('S135', map.span, `\`${map.pinned}\` is pinned as another kind of map`, {
            hint: `declare it as ${describe(first)}`,
            notes: [{ message: `here it is ${describe(first)}`, span: first.span }],
          }),
        )
      }
    }
  }
}

/** What libbpf compares: type, key, value and size. */
function describe({ type, keyType, valueType, maxEntries }: MapModel): string {
  return `${type} key ${keyType} value ${valueType} max-entries ${maxEntries}`
}
