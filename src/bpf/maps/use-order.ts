// The order in which slots were last used: a doubly linked list in two arrays, so that using, forgetting and finding
// the oldest cost the same whatever the size of the map.

const none = -1

/** Slots from the oldest use to the newest. */
export class UseOrder {
  private readonly older: number[] = []
  private readonly newer: number[] = []
  private first = none
  private last = none

  /** The slot whose last use is longest ago, or -1. */
  get oldest(): number {
    return this.first
  }

  /** Makes a slot the newest; it may be new. */
  use(slot: number): void {
    if (this.last === slot) return
    this.forget(slot)
    this.older[slot] = this.last
    this.newer[slot] = none
    if (this.last === none) this.first = slot
    else this.newer[this.last] = slot
    this.last = slot
  }

  /** Takes a slot out; nothing happens when it is not in the order. */
  forget(slot: number): void {
    const older = this.older[slot]
    const newer = this.newer[slot]
    if (older === undefined || newer === undefined) return
    if (older === none && this.first !== slot) return
    if (older === none) this.first = newer
    else this.newer[older] = newer
    if (newer === none) this.last = older
    else this.older[newer] = older
    this.older[slot] = none
    this.newer[slot] = none
  }
}
