// What the contexts of tc and of XDP do alike: maps, tail calls, records, time and chance.
import type { HelpersOf } from '../../bpf/helpers/bind.ts'
import { currentCpu } from '../../bpf/helpers/records.ts'
import type { HelperName } from '../../bpf/helpers/table.ts'
import type { AnyMap, MapOf } from '../../bpf/maps/create.ts'
import type { NodeConfig, ObjectConfig } from './config.ts'
import type { ObjectMaps } from './ctx.ts'
import { drop } from './drop-reason.ts'

/** Helpers that every program of Cilium calls. */
export const commonHelpers = [
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'tail_call',
  'ktime_get_ns',
  'jiffies64',
  'get_prandom_u32',
  'csum_diff',
  'fib_lookup',
  'perf_event_output',
] as const satisfies readonly HelperName[]

type CommonHelpers = HelpersOf<(typeof commonHelpers)[number]>

/** What the programs of one object have in common. */
export interface Shared {
  readonly node: NodeConfig
  readonly object: ObjectConfig
  readonly maps: ObjectMaps
}

/** One run of a program, whatever its type. */
export abstract class CommonCtx<Helpers extends CommonHelpers> {
  readonly node: NodeConfig
  readonly object: ObjectConfig
  readonly maps: ObjectMaps
  extErr = 0
  protected readonly helpers: Helpers

  constructor({ node, object, maps }: Shared, helpers: Helpers) {
    this.node = node
    this.object = object
    this.maps = maps
    this.helpers = helpers
  }

  checksumDifference(from: Uint8Array, to: Uint8Array, seed: number): number {
    return this.helpers.csum_diff(from, to, seed)
  }

  fibLookup(params: Uint8Array, flags: number): number {
    return this.helpers.fib_lookup(params, flags)
  }

  lookup(map: AnyMap, key: Uint8Array): Uint8Array | undefined {
    // maps of maps are not used here, so a value is always bytes
    return this.helpers.map_lookup_elem(map, key) as Uint8Array | undefined
  }

  lookupInner(map: MapOf<'hash_of_maps'>, key: Uint8Array): AnyMap | undefined {
    // the value of a map of maps is a map
    return this.helpers.map_lookup_elem(map, key) as AnyMap | undefined
  }

  update(map: AnyMap, key: Uint8Array, value: Uint8Array, flags = 0): number {
    return this.helpers.map_update_elem(map, key, value, flags)
  }

  remove(map: AnyMap, key: Uint8Array): number {
    return this.helpers.map_delete_elem(map, key)
  }

  tailCall(slot: number): number {
    this.helpers.tail_call(this.maps.calls, slot)
    this.extErr = slot
    return drop.MISSED_TAIL_CALL
  }

  tailCallInto(map: AnyMap, index: number): void {
    this.helpers.tail_call(map, index)
  }

  emit(record: Uint8Array, captured: number): void {
    this.helpers.perf_event_output(this.maps.cilium_events, captured * 0x1_0000_0000 + currentCpu, record)
  }

  signal(record: Uint8Array): void {
    this.helpers.perf_event_output(this.maps.cilium_signals, currentCpu, record)
  }

  nowNs(): number {
    return this.helpers.ktime_get_ns()
  }

  jiffies(): number {
    return this.helpers.jiffies64()
  }

  random32(): number {
    return this.helpers.get_prandom_u32()
  }
}
