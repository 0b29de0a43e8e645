// The elements of a set at work: nft_set_hash.c, nft_set_rbtree.c, nft_set_pipapo.c. Keys are words in registers; an element
// whose time is over is not found and gives way.
import type { Namespace } from '../namespace.ts'
import type { BoundChain } from './bound.ts'
import type { ElementSpec, SetSpec, Span, Verdict } from './ruleset.ts'
import { type Words, wordsOfTypes } from './types.ts'

/** Nanoseconds of a second. */
const second = 1_000_000_000

export interface Element {
  /** Order in which elements came. */
  readonly id: number
  readonly first: Words
  /** The same words as `first` for a single key. */
  readonly last: Words
  data: Words | undefined
  readonly verdict: Verdict | undefined
  readonly chain: BoundChain | undefined
  /** Nanoseconds; undefined for one that stays. */
  timeout: number | undefined
  expires: number
  /** undefined for one that a packet made. */
  readonly spec: ElementSpec | undefined
}

function hashOf(words: ArrayLike<number>, at: number, count: number): number {
  if (count === 1) return words[at] as number
  let hash = 0x9e37_79b9
  for (let i = 0; i < count; i += 1) {
    hash = Math.imul(hash ^ (words[at + i] as number), 0x85eb_ca6b)
    hash ^= hash >>> 15
  }
  return hash >>> 0
}

/** Minus, zero or plus, as words in registers compare with constant ones. */
export function compareWords(registers: ArrayLike<number>, at: number, words: Words): number {
  for (let i = 0; i < words.length; i += 1) {
    const difference = (registers[at + i] as number) - (words[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

export class SetStore {
  spec: SetSpec
  /** Words of a key. */
  readonly width: number
  private readonly ns: Namespace
  private readonly exact = new Map<number, Element[]>()
  /** Elements with a range or prefix; of sets with one field sorted, and never overlapping. */
  private ranges: Element[] = []
  private count = 0
  private lastId = 0

  constructor(ns: Namespace, spec: SetSpec, chainOf: (name: string) => BoundChain | undefined) {
    this.ns = ns
    this.spec = spec
    this.width = wordsOfTypes(spec.types)
    this.follow(spec, chainOf)
  }

  /** Takes over what the rule set says of the set now; elements that packets made stay, unless it was emptied. */
  follow(spec: SetSpec, chainOf: (name: string) => BoundChain | undefined): void {
    const wanted = new Set(spec.elements)
    const empties = spec.flushed !== this.spec.flushed
    const stays = (element: Element): boolean =>
      element.spec === undefined ? !empties : wanted.delete(element.spec)
    for (const [key, bucket] of this.exact) {
      const kept = bucket.filter(stays)
      this.count -= bucket.length - kept.length
      if (kept.length === 0) this.exact.delete(key)
      else this.exact.set(key, kept)
    }
    this.ranges = this.ranges.filter(stays)
    this.spec = spec
    for (const element of wanted) this.addSpec(element, chainOf)
    if (spec.types.length === 1) this.ranges.sort((left, right) => compareWords(left.first, 0, right.first))
  }

  /** The key of an element, one span for each field. */
  spansOf({ first, last, spec }: Element): readonly Span[] {
    if (spec !== undefined) return spec.key
    let at = 0
    return this.spec.types.map((type) => {
      const words = first.slice(at, at + type.words)
      const end = last.slice(at, at + type.words)
      at += type.words
      return { first: words, last: end, text: type.print(words) }
    })
  }

  /** The data of an element that a packet made. */
  dataText({ data }: Element): string {
    const types = this.spec.data
    if (data === undefined || types === undefined || types === 'verdict') return ''
    let at = 0
    return types
      .map((type) => {
        const words = data.slice(at, at + type.words)
        at += type.words
        return type.print(words)
      })
      .join(' . ')
  }

  /** Every element whose time is not over, in the order in which they came. */
  list(): Element[] {
    const all = [...this.exact.values()].flat()
    const alive = [...all, ...this.ranges].filter((element) => this.alive(element))
    return alive.sort((left, right) => left.id - right.id)
  }

  /** The element that a key in the registers belongs to. */
  find(registers: Uint32Array, at: number): Element | undefined {
    const found = this.findExact(registers, at)
    if (found !== undefined || this.ranges.length === 0) return found
    return this.spec.types.length === 1 ? this.findSorted(registers, at) : this.findJoined(registers, at)
  }

  /**
   * `add` and `update` of a rule (nft_dynset_eval): an `update` starts the time of an element anew. False when the set is
   * full.
   */
  put(
    registers: Uint32Array,
    at: number,
    options: { readonly renew: boolean; readonly timeout: number; readonly data: Words | undefined },
  ): boolean {
    const { now } = this.ns.machine.clock
    const timeout = options.timeout * second
    const known = this.findExact(registers, at)
    if (known !== undefined) {
      if (options.renew && known.timeout !== undefined) {
        known.timeout = timeout
        known.expires = now + timeout
      }
      return true
    }
    this.removeOver()
    if (this.spec.size !== undefined && this.count >= this.spec.size) return false
    const first = Array.from(registers.subarray(at, at + this.width))
    const timed = timeout > 0
    this.insert({
      id: this.nextId(),
      first,
      last: first,
      data: options.data,
      verdict: undefined,
      chain: undefined,
      timeout: timed ? timeout : undefined,
      expires: timed ? now + timeout : 0,
      spec: undefined,
    })
    return true
  }

  /** `delete` of a rule. */
  remove(registers: Uint32Array, at: number): void {
    const found = this.findExact(registers, at)
    if (found === undefined) return
    const bucket = this.exact.get(hashOf(found.first, 0, this.width)) ?? []
    bucket.splice(bucket.indexOf(found), 1)
    this.count -= 1
  }

  private addSpec(spec: ElementSpec, chainOf: (name: string) => BoundChain | undefined): void {
    const first = spec.key.flatMap((span) => span.first)
    const last = spec.key.flatMap((span) => span.last)
    const seconds = spec.timeout ?? (this.spec.timeout > 0 ? this.spec.timeout : undefined)
    const timeout = seconds === undefined ? undefined : seconds * second
    const { verdict } = spec
    const element: Element = {
      id: this.nextId(),
      first,
      last,
      data: spec.data,
      verdict,
      chain: verdict !== undefined && 'chain' in verdict ? chainOf(verdict.chain) : undefined,
      timeout,
      expires: timeout === undefined ? 0 : this.ns.machine.clock.now + timeout,
      spec,
    }
    if (compareWords(first, 0, last) === 0) this.insert(element)
    else this.ranges.push(element)
  }

  private nextId(): number {
    this.lastId += 1
    return this.lastId
  }

  private insert(element: Element): void {
    const key = hashOf(element.first, 0, this.width)
    const bucket = this.exact.get(key)
    if (bucket === undefined) this.exact.set(key, [element])
    else bucket.push(element)
    this.count += 1
  }

  private alive({ timeout, expires }: Element): boolean {
    return timeout === undefined || expires > this.ns.machine.clock.now
  }

  /** Elements whose time is over make room, as the kernel's collector does. */
  private removeOver(): void {
    if (this.spec.size === undefined || this.count < this.spec.size) return
    for (const bucket of this.exact.values()) {
      for (let at = bucket.length - 1; at >= 0; at -= 1) {
        if (this.alive(bucket[at] as Element)) continue
        bucket.splice(at, 1)
        this.count -= 1
      }
    }
  }

  private findExact(registers: Uint32Array, at: number): Element | undefined {
    const bucket = this.exact.get(hashOf(registers, at, this.width))
    if (bucket === undefined) return undefined
    for (let index = 0; index < bucket.length; index += 1) {
      const element = bucket[index] as Element
      if (compareWords(registers, at, element.first) !== 0) continue
      if (this.alive(element)) return element
      bucket.splice(index, 1)
      this.count -= 1
      index -= 1
    }
    return undefined
  }

  private findSorted(registers: Uint32Array, at: number): Element | undefined {
    let low = 0
    let high = this.ranges.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const element = this.ranges[middle] as Element
      if (compareWords(registers, at, element.first) < 0) high = middle - 1
      else if (compareWords(registers, at, element.last) > 0) low = middle + 1
      else return this.alive(element) ? element : undefined
    }
    return undefined
  }

  /** Each field of the key lies in the element's own range. */
  private findJoined(registers: Uint32Array, at: number): Element | undefined {
    for (const element of this.ranges)
      if (this.inside(registers, at, element) && this.alive(element)) return element
    return undefined
  }

  private inside(registers: Uint32Array, at: number, { first, last }: Element): boolean {
    let start = 0
    for (const { words } of this.spec.types) {
      const end = start + words
      if (words === 1) {
        const value = registers[at + start] as number
        if (value < (first[start] as number) || value > (last[start] as number)) return false
      } else if (
        compareWords(registers, at + start, first.slice(start, end)) < 0 ||
        compareWords(registers, at + start, last.slice(start, end)) > 0
      )
        return false
      start = end
    }
    return true
  }
}
