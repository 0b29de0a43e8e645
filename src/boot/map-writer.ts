// An agent's hand on the maps of its node while the machine runs. What it writes is told as differences of the maps themselves.
import { assert } from '../base/assert.ts'
import type { BpfMap } from '../bpf/maps/map.ts'
import { bytesToHex } from '../net/hex.ts'
import type { AgentAct } from '../trace/event.ts'
import type { MapEntry } from './cilium-maps.ts'

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at])
}

/** Writes entries and remembers what changed. */
export class MapWriter {
  readonly acts: AgentAct[] = []

  put(map: BpfMap, { key, value }: MapEntry): void {
    const before = map.peek(key, 0)
    if (before !== undefined && isSame(before, value)) return
    const old = before?.slice()
    assert(map.update(key, value, 0, 0) === 0, `map ${map.spec.name} takes an entry`)
    this.#tell(map, key, old, value)
  }

  delete(map: BpfMap, key: Uint8Array): void {
    const before = map.peek(key, 0)?.slice()
    if (before === undefined) return
    map.delete(key)
    this.#tell(map, key, before, undefined)
  }

  /**
   * Makes a map's entries of `before` those of `after`: first what comes, then what goes. Entries of others stay, and so do
   * those that are in both, with what programs have counted in them.
   */
  sync(map: BpfMap, before: readonly MapEntry[], after: readonly MapEntry[]): void {
    const known = new Map(before.map(({ key, value }) => [bytesToHex(key), value]))
    for (const entry of after) {
      const old = known.get(bytesToHex(entry.key))
      if (old === undefined || !isSame(old, entry.value)) this.put(map, entry)
    }
    const wanted = new Set(after.map(({ key }) => bytesToHex(key)))
    for (const { key } of before) if (!wanted.has(bytesToHex(key))) this.delete(map, key)
  }

  #tell(map: BpfMap, key: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    this.acts.push({
      kind: 'map',
      map: map.spec.name,
      key,
      keyText: '',
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })
  }
}
