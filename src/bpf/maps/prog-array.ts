// BPF_MAP_TYPE_PROG_ARRAY: where tail calls go. All its programs are of one type; the first to be put in, or the first
// to use the map, decides which. kernel/bpf/arraymap.c, kernel/bpf/core.c bpf_prog_map_compatible()
import type { Program, ProgramType } from '../contract.ts'
import { errno } from '../errno.ts'
import { holdProgram, References, releaseProgram } from '../lifetime.ts'
import { type MapSpec, updateFlag } from './map.ts'

/** An array of programs. Losing its last user reference (fd or pin) empties it. */
export class ProgArray {
  readonly spec: MapSpec
  readonly references: References
  frozen = false
  /** The type of all programs in it; undefined until the first. */
  owner: ProgramType | undefined
  /**
   * Set for an array that is shared by programs of several devices: the device whose program a slot holds. A trace shows a
   * tail call into it as a run of that device's own (stage `policy`).
   */
  deviceOf: ((index: number) => string | undefined) | undefined
  private readonly slots: (Program | undefined)[] = []

  constructor(spec: MapSpec) {
    this.spec = spec
    this.references = new References({ onLastUser: () => this.clear(), onFree: () => this.clear() })
  }

  /** Whether a program of this type may use the map or be put into it; the first question decides. */
  accepts(type: ProgramType): boolean {
    this.owner ??= type
    return this.owner === type
  }

  /** The program in a slot. */
  get(index: number): Program | undefined {
    return this.slots[index]
  }

  /** bpf_fd_array_map_update_elem(): 0, -E2BIG past the end, -EINVAL for flags or for a program of another type. */
  set(index: number, program: Program, flags: number): number {
    if (flags !== updateFlag.BPF_ANY) return -errno.EINVAL
    if (index >= this.spec.maxEntries) return -errno.E2BIG
    if (!this.accepts(program.type)) return -errno.EINVAL
    const before = this.slots[index]
    holdProgram(program)
    this.slots[index] = program
    if (before !== undefined) releaseProgram(before)
    return 0
  }

  /** Empties a slot: 0, -E2BIG past the end, -ENOENT when it is empty. */
  remove(index: number): number {
    if (index >= this.spec.maxEntries) return -errno.E2BIG
    const before = this.slots[index]
    if (before === undefined) return -errno.ENOENT
    this.slots[index] = undefined
    releaseProgram(before)
    return 0
  }

  private clear(): void {
    for (let index = 0; index < this.slots.length; index += 1) this.remove(index)
  }
}
