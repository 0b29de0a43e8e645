// What the kernel of each node has loaded: programs and maps with ids, in the order of loading, for `bpftool`.
import type { Program } from '../bpf/contract.ts'
import type { AnyMap } from '../bpf/maps/create.ts'
import { loadedPrograms } from '../cilium/datapath/object.ts'
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
  programs.push(...ciliumPrograms(booted, node, programs.length))
  return { programs, maps, links: ciliumLinks(booted, node) }
}

/** The programs of Cilium's objects: those at hooks and in policy maps, and what they call. Which maps each of them uses is not known. */
function ciliumPrograms({ agents }: Booted, node: string, before: number): readonly LoadedProgram[] {
  const own = agents?.nodes.get(node)
  if (own === undefined) return []
  const { hooked, objects, era } = own
  const symbols = [era.symbols.policy, era.symbols.egressPolicy]
  const attached = new Set<unknown>(hooked.values())
  const isUsed = (program: Program): boolean => attached.has(program) || symbols.includes(program.name)
  const loaded = [...objects.values()].flatMap((object) => loadedPrograms(object, isUsed))
  const naming = era.namesPrograms ? ({ btf: true } as const) : ({ anonymous: true } as const)
  return loaded.map((program, index) => ({ id: before + index + 1, program, mapIds: [], ...naming }))
}

/** The agent attaches by links wherever the kernel has them for a hook: tcx, netkit and XDP. */
function ciliumLinks({ agents }: Booted, node: string): ReadonlyMap<Program, number> {
  const own = agents?.nodes.get(node)
  if (own === undefined || !own.agent.node.config.tcx) return new Map()
  return new Map([...own.hooked.values()].map((program, index) => [program, index + 1]))
}
