// Helpers that send records to user space. kernel/trace/bpf_trace.c, net/core/filter.c bpf_skb_event_output() and
// bpf_xdp_event_output(), kernel/bpf/ringbuf.c
import type { RunContext } from '../contract.ts'
import { errno } from '../errno.ts'
import { fault } from '../fault.ts'
import type { AnyMap } from '../maps/create.ts'
import { PerfEventArray, type Reservation, RingBuf } from '../maps/record-maps.ts'

/** Low half of the flags of bpf_perf_event_output: which slot; all ones means this CPU's. */
export const currentCpu = 0xffff_ffff

const wakeupFlags = 3

/** Appends the first bytes of the packet to a record; undefined when the packet is shorter. */
function withPacket(context: RunContext, data: Uint8Array, length: number): Uint8Array | undefined {
  if (length === 0) return data.slice()
  const { skb, xdp } = context
  if (skb === undefined && xdp === undefined) return undefined
  const bytes = skb?.bytes ?? xdp?.bytes ?? data
  const start = skb?.start ?? xdp?.data ?? 0
  const end = skb?.end ?? xdp?.dataEnd ?? 0
  if (length > end - start) return undefined
  const whole = new Uint8Array(data.length + length)
  whole.set(data)
  whole.set(bytes.subarray(start, start + length), data.length)
  return whole
}

/**
 * bpf_perf_event_output. The low 32 bits of `flags` are the slot (BPF_F_CURRENT_CPU), the next 20 say how many bytes of
 * the packet follow the data. 0; -EINVAL, -EFAULT for more bytes than the packet has, -E2BIG, -ENOENT, -EOPNOTSUPP.
 */
export function perfEventOutput(context: RunContext, map: AnyMap, flags: number, data: Uint8Array): number {
  if (!(map instanceof PerfEventArray))
    fault(`cannot pass map_type ${map.spec.type} into bpf_perf_event_output#25`)
  const slot = flags >>> 0
  const packetBytes = Math.floor(flags / 0x1_0000_0000)
  if (packetBytes > 0xf_ffff || flags < 0) return -errno.EINVAL
  const record = withPacket(context, data, packetBytes)
  if (record === undefined) return -errno.EFAULT
  const { cpu } = context.kernel
  const result = map.output(slot === currentCpu ? cpu : slot, cpu, record)
  if (result === 0) note(context, map.spec.name, record)
  return result
}

function note(context: RunContext, map: string, bytes: Uint8Array): void {
  context.trace?.fact({ kind: 'record', map, bytes })
}

function ringOf(map: AnyMap, helper: string): RingBuf {
  return map instanceof RingBuf ? map : fault(`cannot pass map_type ${map.spec.type} into ${helper}`)
}

/** bpf_ringbuf_output: copies a record; -EINVAL for unknown flags, -EAGAIN when the ring is full. */
export function ringbufOutput(context: RunContext, map: AnyMap, data: Uint8Array, flags = 0): number {
  const ring = ringOf(map, 'bpf_ringbuf_output#130')
  if ((flags & ~wakeupFlags) !== 0) return -errno.EINVAL
  const room = ring.reserve(data.length)
  if (room === undefined) return -errno.EAGAIN
  room.bytes.set(data)
  note(context, map.spec.name, room.bytes)
  ring.submit(room)
  return 0
}

/** bpf_ringbuf_reserve: a record to fill, or undefined (full, or flags that are not 0). It must be submitted or discarded. */
export function ringbufReserve(
  _context: RunContext,
  map: AnyMap,
  sizeBytes: number,
  flags = 0,
): Reservation | undefined {
  const ring = ringOf(map, 'bpf_ringbuf_reserve#131')
  return flags === 0 ? ring.reserve(sizeBytes) : undefined
}

/** bpf_ringbuf_submit. In C the record alone is passed; here its map comes with it. */
export function ringbufSubmit(context: RunContext, map: AnyMap, record: Reservation, _flags = 0): void {
  const ring = ringOf(map, 'bpf_ringbuf_submit#132')
  if (record.state !== 'open') fault('the ring buffer record was submitted or discarded before')
  note(context, map.spec.name, record.bytes.slice())
  ring.submit(record)
}

/** bpf_ringbuf_discard. */
export function ringbufDiscard(_context: RunContext, map: AnyMap, record: Reservation, _flags = 0): void {
  const ring = ringOf(map, 'bpf_ringbuf_discard#133')
  if (record.state !== 'open') fault('the ring buffer record was submitted or discarded before')
  ring.discard(record)
}
