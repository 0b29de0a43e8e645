// A program of the file, resolved. Small programs keep their shape (tests, codes, actions) with names resolved; `boot`
// turns them into the neutral form that src/bpf runs.
import type { Span } from '../base/text.ts'
import type { MapType, SmallProgram } from '../syntax/ast.ts'

export interface MapModel {
  readonly name: string
  readonly type: MapType
  readonly keyBytes: number
  readonly valueBytes: number
  readonly maxEntries: number
  /** `u32`, `ipv4`, `prefix`, `mac`, `ifindex` ...: how keys and values are written and printed. */
  readonly keyType: string
  readonly valueType: string
  /** The pin's name: programs of one node that pin a map under the same name share it. */
  readonly pinned?: string
  /** BPF_F_* of BPF_MAP_CREATE. */
  readonly flags?: number
  readonly span: Span
}

/** Where a program of a cgroup sees packets. */
export type CgroupSkbHook = 'cgroup/ingress' | 'cgroup/egress'

export interface ProgramModel {
  readonly name: string
  readonly type: 'xdp' | 'tc' | CgroupSkbHook
  readonly maps: readonly MapModel[]
  /** The checked syntax; every word in it is known to have a meaning. */
  readonly body: SmallProgram
  readonly span: Span
}
