// The words behind a tool's name, read one after the other, and what a command may answer.
import type { NetDevice } from '../device/device.ts'
import type { Namespace } from '../namespace.ts'
import type { BpfObjects } from './bpf-objects.ts'

/** What a command is carried out on. */
export interface ShowContext {
  readonly ns: Namespace
  readonly objects: BpfObjects
}

export type Shown =
  | { readonly kind: 'text'; readonly text: string }
  /** The words are not understood; `word` is the first that is not. */
  | { readonly kind: 'unknown'; readonly word: string }
  /** The words name something that is not there; `message` is what the tool says. */
  | { readonly kind: 'missing'; readonly message: string }

/** An answer with text. */
export function shown(text: string): Shown {
  return { kind: 'text', text }
}

/** A word that is not understood. */
export function unknown(word: string): Shown {
  return { kind: 'unknown', word }
}

/** The device of a name, or the tool's complaint. */
export function deviceNamed(ns: Namespace, name: string): NetDevice | Shown {
  return ns.devicesByName.get(name) ?? { kind: 'missing', message: `Device "${name}" does not exist.` }
}

/** Whether the answer of `deviceNamed` is a device. */
export function isDevice(found: NetDevice | Shown): found is NetDevice {
  return 'ifindex' in found
}

/** Words with a position. */
export class Words {
  private readonly words: readonly string[]
  private at: number

  constructor(words: readonly string[], from: number) {
    this.words = words
    this.at = from
  }

  /** The next word; undefined at the end. */
  next(): string | undefined {
    const word = this.words[this.at]
    if (word !== undefined) this.at += 1
    return word
  }

  /** Whether the next word abbreviates one of these as iproute2 allows it (`a`, `addr`); it is taken then. */
  takes(...names: readonly string[]): boolean {
    const word = this.words[this.at]
    if (word === undefined || !names.some((name) => name.startsWith(word))) return false
    this.at += 1
    return true
  }

  /** Takes flags such as `-d` and `-4` that stand here. */
  flags(known: readonly string[]): ReadonlySet<string> {
    const found = new Set<string>()
    for (
      let word = this.words[this.at];
      word !== undefined && known.includes(word);
      word = this.words[this.at]
    ) {
      found.add(word)
      this.at += 1
    }
    return found
  }

  /** Takes `KEY VALUE` pairs to the end; the first word that is no key or lacks its value otherwise. */
  pairs(keys: readonly string[]): ReadonlyMap<string, string> | { readonly word: string } {
    const found = new Map<string, string>()
    for (let word = this.next(); word !== undefined; word = this.next()) {
      const value = this.next()
      if (!keys.includes(word) || value === undefined) return { word }
      found.set(word, value)
    }
    return found
  }
}

/** Whether `pairs` found a word that it did not know. */
export function isStray(
  found: ReadonlyMap<string, string> | { readonly word: string },
): found is { readonly word: string } {
  return 'word' in found
}
