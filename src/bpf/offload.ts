// What a NIC that runs XDP programs itself can do: much less than the kernel. After the only such driver in Linux,
// drivers/net/ethernet/netronome/nfp/bpf (verifier.c nfp_bpf_check_helper_call(), offload.c nfp_bpf_map_alloc()).
// From reading, not from a run: no such hardware was at hand.
import type { ProgramType } from './contract.ts'
import { type HelperName, helperTable } from './helpers/table.ts'
import type { MapSpec, MapType } from './maps/map.ts'

const helpers = new Set<HelperName>([
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'get_prandom_u32',
  'perf_event_output',
  'xdp_adjust_head',
  'xdp_adjust_tail',
])

/** The perf event array lives in the kernel; the NIC only sends its records there. */
const maps = new Set<MapType>(['array', 'hash', 'perf_event_array'])

/**
 * Why a program cannot run on the NIC (the kernel answers -EOPNOTSUPP), or undefined. Tail calls, redirects and
 * metadata are helpers that are not there.
 */
export function offloadRefusal(program: {
  readonly type: ProgramType
  readonly uses: readonly HelperName[]
  readonly maps: readonly MapSpec[]
}): string | undefined {
  if (program.type !== 'xdp' && program.type !== 'sched_cls') {
    return `a program of type ${program.type} cannot be offloaded`
  }
  const helper = program.uses.find((name) => !helpers.has(name))
  if (helper !== undefined)
    return `the device does not support helper bpf_${helper}#${helperTable[helper].id}`
  const map = program.maps.find(({ type }) => !maps.has(type))
  return map === undefined ? undefined : `the device does not support map ${map.name} of type ${map.type}`
}
