// BPF_MAP_TYPE_PERF_EVENT_ARRAY and RINGBUF: how programs send records to user space. kernel/bpf/ringbuf.c,
// kernel/trace/bpf_trace.c
import { errno } from '../errno.ts'
import { References } from '../lifetime.ts'
import type { MapSpec } from './map.ts'

/** Who reads: `prompt` takes every record at once; `none` leaves them lying, so that a ring can fill up. */
export type Reader = 'prompt' | 'none'

/** Bytes of struct bpf_ringbuf_hdr in front of each record. */
const headerBytes = 8

/** Per-CPU perf rings. A slot without a perf event (user space opened none) refuses records. */
export class PerfEventArray {
  readonly spec: MapSpec
  readonly references = new References()
  frozen = false
  /** Called with every record. */
  onRecord: ((bytes: Uint8Array, cpu: number) => void) | undefined
  private readonly closed = new Set<number>()

  constructor(spec: MapSpec) {
    this.spec = spec
  }

  /** Says that user space has not opened a perf event for this CPU; by default it has one for each. */
  close(cpu: number): void {
    this.closed.add(cpu)
  }

  /** 0; -E2BIG past the end, -ENOENT without a perf event, -EOPNOTSUPP for another CPU's (__bpf_perf_event_output). */
  output(index: number, cpu: number, bytes: Uint8Array): number {
    if (index >= this.spec.maxEntries) return -errno.E2BIG
    if (this.closed.has(index)) return -errno.ENOENT
    if (index !== cpu) return -errno.EOPNOTSUPP
    this.onRecord?.(bytes, cpu)
    return 0
  }
}

/** One record of a ring between reserve and submit. */
export interface Reservation {
  readonly bytes: Uint8Array
  state: 'open' | 'submitted' | 'discarded'
}

/** A ring shared by all CPUs; `maxEntries` is its size in bytes. */
export class RingBuf {
  readonly spec: MapSpec
  readonly references = new References()
  frozen = false
  reader: Reader = 'prompt'
  /** Called with every record that user space reads. */
  onRecord: ((bytes: Uint8Array) => void) | undefined
  private readonly queue: Reservation[] = []
  private usedBytes = 0

  constructor(spec: MapSpec) {
    this.spec = spec
  }

  /** Room for a record, zeroed; undefined when there is not enough. */
  reserve(sizeBytes: number): Reservation | undefined {
    const needed = ringBytes(sizeBytes)
    if (this.usedBytes + needed > this.spec.maxEntries - 1) return undefined
    const made: Reservation = { bytes: new Uint8Array(sizeBytes), state: 'open' }
    this.usedBytes += needed
    this.queue.push(made)
    return made
  }

  /** Makes a record visible to the reader. */
  submit(reservation: Reservation): void {
    reservation.state = 'submitted'
    if (this.reader === 'prompt') this.read()
  }

  /** Gives the room of a record back: the reader skips it. */
  discard(reservation: Reservation): void {
    reservation.state = 'discarded'
    if (this.reader === 'prompt') this.read()
  }

  /** Takes all records that are ready, oldest first; a record that is still open stops the reader. */
  read(): Uint8Array[] {
    const records: Uint8Array[] = []
    while (this.queue[0] !== undefined && this.queue[0].state !== 'open') {
      const { bytes, state } = this.queue[0]
      this.queue.shift()
      this.usedBytes -= ringBytes(bytes.length)
      if (state === 'discarded') continue
      records.push(bytes)
      this.onRecord?.(bytes)
    }
    return records
  }

  /** Bytes not yet read, headers included: BPF_RB_AVAIL_DATA. */
  get available(): number {
    return this.usedBytes
  }
}

function ringBytes(sizeBytes: number): number {
  return Math.ceil((sizeBytes + headerBytes) / 8) * 8
}
