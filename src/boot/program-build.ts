// What the translation of one small program carries along.
import { assert } from '../base/assert.ts'
import type { MapShape } from '../bpf/small/ir.ts'
import type { MapModel } from '../model/program.ts'
import type { AddressesByName } from './values.ts'

/** What of a namespace goes into the code of its programs; the same in all cases of a world. */
export interface ProgramPlace {
  readonly names: AddressesByName
  /** The ifindex of a device of the namespace; 0 when there is none. */
  readonly deviceIndex: (name: string) => number
}

export interface Build {
  readonly type: 'xdp' | 'sched_cls' | 'cgroup_skb'
  readonly maps: readonly MapModel[]
  /** In the order of `maps`; arrays for `tail NAME` stand behind them. */
  readonly shapes: MapShape[]
  /** The programs that the arrays behind the declared maps hold, one each. */
  readonly tails: string[]
  readonly surroundings: ProgramPlace
}

/** The index of a declared map. */
export function mapIndex(name: string, build: Build): number {
  const index = build.maps.findIndex((map) => map.name === name)
  assert(index >= 0, `map ${name} is declared`)
  return index
}
