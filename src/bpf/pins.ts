// The BPF file system of one node: paths that keep maps and programs alive. kernel/bpf/inode.c bpf_obj_pin_user(),
// bpf_obj_get_user()

import { errno } from './errno.ts'
import type { LoadedProgram } from './load.ts'
import type { AnyMap } from './maps/create.ts'

/** What can be pinned. */
export type Pinnable = AnyMap | LoadedProgram

/** Pins of one node (one mount of bpffs). */
export class Pins {
  private readonly byPath = new Map<string, Pinnable>()

  /** Pins an object: 0, or -EEXIST for a path that is taken. The pin is a user reference. */
  pin(path: string, object: Pinnable): number {
    if (this.byPath.has(path)) return -errno.EEXIST
    object.references.holdUser()
    this.byPath.set(path, object)
    return 0
  }

  /** A new file descriptor of what is pinned there (`closeObject` gives it back); undefined where nothing is. */
  open(path: string): Pinnable | undefined {
    const object = this.byPath.get(path)
    object?.references.holdUser()
    return object
  }

  /** What is pinned there, without a reference: for looking. */
  at(path: string): Pinnable | undefined {
    return this.byPath.get(path)
  }

  /** Removes a pin: 0 or -ENOENT. The object goes when this was its last reference. */
  unpin(path: string): number {
    const object = this.byPath.get(path)
    if (object === undefined) return -errno.ENOENT
    this.byPath.delete(path)
    object.references.releaseUser()
    return 0
  }

  /** All paths, in the order of pinning. */
  get paths(): readonly string[] {
    return [...this.byPath.keys()]
  }
}
