// What one run did to maps, found by comparing: an entry is copied before the run first touches it, and compared when
// the run is over. So a write through a pointer shows as well as an update, and a write that changes nothing does not.
import { sameBytes } from '../../net/bytes.ts'
import type { Recorder } from '../../trace/recorder.ts'
import { describeBytes } from './layout.ts'
import type { BpfMap } from './map.ts'

interface Touched {
  readonly map: BpfMap
  readonly key: Uint8Array
  readonly before: Uint8Array | undefined
}

/** The entries one traced run has touched. Per-CPU maps are compared on the run's CPU. */
export class MapJournal {
  private readonly touched: Touched[] = []
  private readonly cpu: number

  constructor(cpu: number) {
    this.cpu = cpu
  }

  /** Must be called before an entry may change. A second touch of the same entry is ignored. */
  touch(map: BpfMap, key: Uint8Array): void {
    for (const entry of this.touched) if (entry.map === map && sameBytes(entry.key, key)) return
    this.touched.push({ map, key: key.slice(), before: map.peek(key, this.cpu)?.slice() })
  }

  /** Tells the trace of every entry that differs now, in the order of first touch. */
  report(trace: Recorder): void {
    for (const { map, key, before } of this.touched) {
      const after = map.peek(key, this.cpu)?.slice()
      if (before === undefined && after === undefined) continue
      if (before !== undefined && after !== undefined && sameBytes(before, after)) continue
      const { name, keyLayout, valueLayout } = map.spec
      trace.fact({
        kind: 'map',
        map: name,
        key,
        keyText: describeBytes(keyLayout, key),
        ...(before === undefined ? {} : { before, beforeText: describeBytes(valueLayout, before) }),
        ...(after === undefined ? {} : { after, afterText: describeBytes(valueLayout, after) }),
      })
    }
  }
}
