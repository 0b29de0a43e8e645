import { expect, test } from 'vitest'
import type { ProgramType } from './contract.ts'
import type { HelperName } from './helpers/table.ts'
import type { MapType } from './maps/map.ts'
import { offloadRefusal } from './offload.ts'

test.each<[ProgramType, HelperName[], MapType[], string | undefined]>([
  ['xdp', ['map_lookup_elem', 'xdp_adjust_head'], ['hash', 'array'], undefined],
  ['xdp', ['redirect'], [], 'the device does not support helper bpf_redirect#23'],
  ['xdp', ['tail_call'], [], 'the device does not support helper bpf_tail_call#12'],
  ['xdp', ['xdp_adjust_meta'], [], 'the device does not support helper bpf_xdp_adjust_meta#54'],
  ['xdp', [], ['lpm_trie'], 'the device does not support map m of type lpm_trie'],
  ['cgroup_skb', [], [], 'a program of type cgroup_skb cannot be offloaded'],
])('%s with %j and %j: %s', (type, uses, types, expected) => {
  const maps = types.map((mapType) => ({ name: 'm', type: mapType, keySize: 4, valueSize: 4, maxEntries: 1 }))
  expect(offloadRefusal({ type, uses, maps })).toBe(expected)
})
