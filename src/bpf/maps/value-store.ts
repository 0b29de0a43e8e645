// Memory for the values of one map: fixed-size slots in chunks that are made when first needed. A view of a slot never
// moves, because programs hold it as a pointer for the length of a run.

const chunkBytes = 16_384
/** The first chunk is small: most maps of a scenario hold a handful of entries. */
const firstSlots = 8

/** Slots of `slotBytes`; a declared map of a million entries costs nothing until entries exist. */
export class ValueStore {
  private readonly chunks: (Uint8Array | undefined)[] = []
  private readonly views: (Uint8Array | undefined)[] = []
  private readonly slotBytes: number
  private readonly slotsPerChunk: number

  constructor(slotBytes: number) {
    this.slotBytes = slotBytes
    this.slotsPerChunk = Math.max(1, Math.floor(chunkBytes / Math.max(1, slotBytes)))
  }

  /** The live bytes of a slot. The same object each time, so that a lookup allocates nothing. */
  view(slot: number): Uint8Array {
    const known = this.views[slot]
    if (known !== undefined) return known
    const first = slot < firstSlots
    const index = first ? 0 : 1 + Math.floor((slot - firstSlots) / this.slotsPerChunk)
    let chunk = this.chunks[index]
    if (chunk === undefined) {
      chunk = new Uint8Array((first ? firstSlots : this.slotsPerChunk) * this.slotBytes)
      this.chunks[index] = chunk
    }
    const offset = (first ? slot : (slot - firstSlots) % this.slotsPerChunk) * this.slotBytes
    const made = chunk.subarray(offset, offset + this.slotBytes)
    this.views[slot] = made
    return made
  }
}
