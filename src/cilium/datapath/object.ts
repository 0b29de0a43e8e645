// A Cilium object as the agent loads it: entry programs for hooks, programs for the slots of its tail-call map, maps. An
// object enters as functions of a context; programs that hooks of the kernel can run leave.
import { assert, present } from '../../base/assert.ts'
import type { SkbContext } from '../../bpf/context/skb.ts'
import type { XdpContext } from '../../bpf/context/xdp.ts'
import type { Program } from '../../bpf/contract.ts'
import { type LoadedProgram, loadProgram } from '../../bpf/load.ts'
import { createMap } from '../../bpf/maps/create.ts'
import type { MapSpec } from '../../bpf/maps/map.ts'
import { updateFlag } from '../../bpf/maps/map.ts'
import { defineProgram, type ProgramDefinition } from '../../bpf/native.ts'
import { callsSpec, ct6KeyBytes, nodeMapSpecs, policySpec } from '../maps/specs.ts'
import type { Shared } from './common-ctx.ts'
import { defaultValues, type NodeConfig, type ObjectConfig } from './config.ts'
import { ctBuffer4Bytes, ctBuffer6Bytes, dsrNatBufferBytes } from './ct-buffer.ts'
import type { Ctx, NodeMaps, ObjectMaps } from './ctx.ts'
import { SkbCtx, skbHelpers } from './skb-ctx.ts'
import { XdpCtx, xdpHelpers } from './xdp-ctx.ts'

/** A program of an object: its symbol in Cilium's C and what it does. */
export interface ObjectProgram {
  readonly symbol: string
  readonly run: (ctx: Ctx) => number
}

/** What an object is made of. */
export interface ObjectSource {
  readonly type: 'sched_cls' | 'xdp'
  /** What hooks and policy maps refer to, by symbol. */
  readonly entries: readonly ObjectProgram[]
  /** What the tail-call map holds, by slot. */
  readonly tails: ReadonlyMap<number, ObjectProgram>
  /** Slots of that map where they are not those of 1.19. */
  readonly callsMax?: number
}

/** A loaded object. */
export interface LoadedObject {
  readonly maps: ObjectMaps
  /** The entry programs by symbol. */
  readonly programs: ReadonlyMap<string, LoadedProgram>
}

/** struct bpf_fib_lookup_padded */
const fibParamsBytes = 68
/** META_PIVOT: five words of cb and two markers. */
const xdpScratchBytes = 28
/** SNAT_COLLISION_RETRIES of lib/nat.h, by which the histogram of attempts is sized. */
const collisionRetries = 32

function bufferSpec<const Name extends string>(name: Name, valueSize: number, maxEntries = 1) {
  return { name, type: 'percpu_array', keySize: 4, valueSize, maxEntries } as const satisfies MapSpec
}

/** A map of this spec, which must be one that the kernel accepts. */
export function madeMap<Spec extends MapSpec>(spec: Spec, cpus: number) {
  const result = createMap(spec, { cpus })
  assert(result.kind === 'made', `map ${spec.name} can be created`)
  return result.map
}

/** A spec whose inner maps hold a Maglev table of this many slots. */
function withMaglevSlots(spec: MapSpec, slots: number): MapSpec {
  return spec.inner === undefined ? spec : { ...spec, inner: { ...spec.inner, valueSize: slots * 4 } }
}

/** The pinned maps of a node, empty. `maglevSlots`: LB_MAGLEV_LUT_SIZE where it is not the default. */
export function createNodeMaps(
  cpus: number,
  maglevSlots: number = defaultValues.LB_MAGLEV_LUT_SIZE,
): NodeMaps {
  const maps = Object.entries(nodeMapSpecs).map(
    ([name, spec]) => [name, madeMap(withMaglevSlots(spec, maglevSlots), cpus)] as const,
  )
  // one map of the right type for each name of the table
  return Object.fromEntries(maps) as unknown as NodeMaps
}

/** The policy map of an endpoint, empty. */
export function createPolicyMap(endpointId: number, cpus: number) {
  return madeMap(policySpec(endpointId), cpus)
}

function privateMaps(suffix: string, cpus: number, callsMax: number | undefined) {
  return {
    calls: madeMap(callsSpec(suffix, callsMax), cpus),
    tailCallBuffer4: madeMap(bufferSpec('cilium_tail_call_buffer4', ctBuffer4Bytes), cpus),
    tailCallBuffer6: madeMap(bufferSpec('cilium_tail_call_buffer6', ctBuffer6Bytes), cpus),
    ctTuple6: madeMap(bufferSpec('ct_tuple_storage', ct6KeyBytes), cpus),
    fibParams6: madeMap(bufferSpec('fib_params_storage', fibParamsBytes), cpus),
    dsrNatBuffer: madeMap(bufferSpec('cilium_dsr_nat_buffer', dsrNatBufferBytes), cpus),
    xdpScratch: madeMap(bufferSpec('cilium_xdp_scratch', xdpScratchBytes), cpus),
    snat6AllocRetries: madeMap(bufferSpec('cilium_snat_v6_alloc_retries', 4, collisionRetries + 1), cpus),
  }
}

function definitionOf(type: 'sched_cls' | 'xdp', program: ObjectProgram, shared: Shared): ProgramDefinition {
  const { symbol: name } = program
  const definition =
    type === 'xdp'
      ? defineProgram({
          name,
          type,
          uses: xdpHelpers,
          maps: {},
          run: (xdp: XdpContext, helpers) => program.run(new XdpCtx(shared, xdp, helpers)),
        })
      : defineProgram({
          name,
          type,
          uses: skbHelpers,
          maps: {},
          run: (skb: SkbContext, helpers) => program.run(new SkbCtx(shared, skb, helpers)),
        })
  // a definition is only ever handed to loadProgram, which asks for the general type
  return definition as unknown as ProgramDefinition
}

/**
 * Loads an object: makes its private maps (`suffix` as in cilium_calls_<suffix>), loads its programs and fills the slots of
 * its tail-call map. `policy` is the policy map that its endpoint uses.
 */
export function loadObject(
  source: ObjectSource,
  options: {
    readonly node: NodeConfig
    readonly object: ObjectConfig
    readonly maps: NodeMaps
    readonly policy?: ObjectMaps['policy']
    readonly suffix: string
    readonly cpus: number
  },
): LoadedObject {
  const { node, object, cpus } = options
  const maps: ObjectMaps = {
    ...options.maps,
    ...privateMaps(options.suffix, cpus, source.callsMax),
    policy: options.policy,
  }
  const shared: Shared = { node, object, maps }
  const load = (program: ObjectProgram): LoadedProgram => {
    const loaded = loadProgram(definitionOf(source.type, program, shared), { cpus })
    assert(loaded.kind === 'loaded', `${program.symbol} loads`)
    return loaded.program
  }
  const programs = new Map(source.entries.map((entry) => [entry.symbol, load(entry)]))
  for (const [slot, tail] of source.tails) {
    assert(maps.calls.set(slot, load(tail), updateFlag.BPF_ANY) === 0, `slot ${slot} takes ${tail.symbol}`)
  }
  return { maps, programs }
}

/** An entry program, which must be there. */
export function programOf(object: LoadedObject, symbol: string): LoadedProgram {
  return present(object.programs.get(symbol), `the object has a program ${symbol}`)
}

/** What the kernel has loaded of an object: these entry programs, and what the slots of its tail-call map hold. */
export function loadedPrograms(
  object: LoadedObject,
  isUsed: (program: Program) => boolean,
): readonly Program[] {
  const { calls } = object.maps
  const tails = Array.from({ length: calls.spec.maxEntries }, (_, slot) => calls.get(slot))
  return [...object.programs.values()]
    .filter(isUsed)
    .concat(tails.filter((program) => program !== undefined) as LoadedProgram[])
}
