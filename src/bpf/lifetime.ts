// How long a map or a loaded program lives: as long as something refers to it. References are file descriptors, pins,
// programs that use a map, attachments, slots of program arrays and of maps of maps (kernel/bpf/syscall.c
// bpf_map_put(), bpf_prog_put()). File descriptors and pins are user references besides: when the last one of a program
// array goes, its slots are emptied even though programs still use it (bpf_map_put_uref()).
import type { Program } from './contract.ts'

/** Counts the references to one object. `onFree` runs once, when the last goes; `onLastUser` when the last user reference goes. */
export class References {
  private held = 0
  private users = 0
  private gone = false
  private readonly onFree: () => void
  private readonly onLastUser: () => void

  constructor(hooks: { readonly onFree?: () => void; readonly onLastUser?: () => void } = {}) {
    this.onFree = hooks.onFree ?? (() => {})
    this.onLastUser = hooks.onLastUser ?? (() => {})
  }

  /** How many references there are, of both kinds. */
  get count(): number {
    return this.held
  }

  /** Whether the last reference has gone; a freed object is never used again. */
  get freed(): boolean {
    return this.gone
  }

  /** A reference from inside the kernel: a program, an attachment, a slot. */
  hold(): void {
    this.held += 1
  }

  /** Gives a kernel reference back. */
  release(): void {
    this.held -= 1
    if (this.held > 0 || this.gone) return
    this.gone = true
    this.onFree()
  }

  /** A file descriptor or a pin. */
  holdUser(): void {
    this.users += 1
    this.hold()
  }

  /** Closes a file descriptor or removes a pin. */
  releaseUser(): void {
    this.users -= 1
    if (this.users === 0) this.onLastUser()
    this.release()
  }
}

/** Takes a kernel reference to a program, where it is one that can go away. */
export function holdProgram(program: Program): void {
  program.references?.hold()
}

/** Gives it back. */
export function releaseProgram(program: Program): void {
  program.references?.release()
}

/** Closes a file descriptor of a map or a program. */
export function closeObject(object: { readonly references: References }): void {
  object.references.releaseUser()
}
