// What the kernel of each node has loaded: programs and maps with ids, in the order of loading, for `bpftool`.
import type { AnyMap } from '../bpf/maps/create.ts'
import type { BpfObjects, LoadedMap, LoadedProgram } from '../kernel/show/bpf-objects.ts'
import type { World } from '../model/model.ts'
import type { Booted } from './boot.ts'

/** The objects of one node. Ids begin at 1; a map that several programs pinned has one. */
export function bpfObjectsOf(booted: Booted, world: World, node: string): BpfObjects {
  const programs: LoadedProgram[] = []
  const maps: LoadedMap[] = []
  const idOf = (map: AnyMap): number => {
    const known = maps.find((each) => each.map === map)
    if (known !== undefined) return known.id
    maps.push({ id: maps.length + 1, map })
    return maps.length
  }
  for (const host of world.namespaces) {
    if (host.node !== node) continue
    for (const { program, maps: own } of booted.programs.get(host.name)?.values() ?? []) {
      programs.push({ id: programs.length + 1, program, mapIds: [...own.values()].map(idOf) })
    }
  }
  return { programs, maps }
}
