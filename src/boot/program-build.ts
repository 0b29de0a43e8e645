// What the translation of one small program carries along.
import { assert } from '../base/assert.ts'
import type { IrMap } from '../bpf/small/ir.ts'
import type { MapModel } from '../model/program.ts'
import type { ProgramSurroundings } from './programs.ts'

export interface Build {
  readonly type: 'xdp' | 'sched_cls'
  readonly maps: readonly MapModel[]
  /** In the order of `maps`; arrays for `tail NAME` stand behind them. */
  readonly irMaps: IrMap[]
  readonly surroundings: ProgramSurroundings
}

/** The index of a declared map. */
export function mapIndex(name: string, build: Build): number {
  const index = build.maps.findIndex((map) => map.name === name)
  assert(index >= 0, `map ${name} is declared`)
  return index
}
