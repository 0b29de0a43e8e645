// A rule while it is read, and its header: addresses, devices, protocol (the options that every rule has).
import { didYouMean } from '../../base/closest.ts'
import { isUnspecified } from '../../net/address.ts'
import type { Given, MatchKind, RuleScope, TargetKind } from './extension.ts'
import { type HeaderMatch, protocolNumbers } from './header-match.ts'
import type { Counters } from './ruleset.ts'
import { parseMaskedAddress, parseNumber } from './values.ts'
import type { Word } from './words.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** An extension that the rule names, with its options. */
export interface Loaded<Kind> {
  readonly kind: Kind
  readonly word: Word
  readonly given: Given[]
}

/** A rule while it is read. */
export interface Draft {
  readonly scope: Mutable<RuleScope>
  readonly header: Mutable<HeaderMatch>
  readonly matches: Loaded<MatchKind>[]
  target: Loaded<TargetKind> | undefined
  jump: { readonly word: Word; readonly goto: boolean } | undefined
  counters: Counters
  /** Parts of the header that were given. */
  readonly seen: Set<keyof HeaderMatch>
  failed: boolean
  /** An extension is not known, or a protocol or option: what follows may belong to it, and is not judged. */
  unclear: boolean
}

/** Reads words one after the other. */
export interface Cursor {
  readonly words: readonly Word[]
  at: number
}

/** Options of the header, by their names. */
export const headerOptions: ReadonlyMap<string, keyof HeaderMatch> = new Map([
  ['-s', 'source'],
  ['--source', 'source'],
  ['--src', 'source'],
  ['-d', 'destination'],
  ['--destination', 'destination'],
  ['--dst', 'destination'],
  ['-i', 'in'],
  ['--in-interface', 'in'],
  ['-o', 'out'],
  ['--out-interface', 'out'],
  ['-p', 'protocol'],
  ['--protocol', 'protocol'],
  ['--proto', 'protocol'],
])

/** Reports a word; the rule is lost. */
export function fail(draft: Draft, word: Word, message: string, hint?: string): void {
  draft.failed = true
  draft.scope.report(word, message, hint)
}

/** The value of an option. */
export function next(draft: Draft, cursor: Cursor, option: Word): Word | undefined {
  const word = cursor.words[cursor.at]
  if (word === undefined) {
    fail(draft, option, `\`${option.text}\` needs a value`)
    return undefined
  }
  cursor.at += 1
  return word
}

function readProtocol(text: string): number | undefined {
  return protocolNumbers.get(text.toLowerCase()) ?? parseNumber(text, 255)
}

/** Reads the value of a part of the header. */
export function readHeaderValue(draft: Draft, part: keyof HeaderMatch, value: Word, inverted: boolean): void {
  const { header, scope } = draft
  switch (part) {
    case 'source':
    case 'destination': {
      const address = parseMaskedAddress(value.text, scope.family)
      if (address === undefined) {
        fail(draft, value, `\`${value.text}\` is no IPv${scope.family} address or prefix`)
        return
      }
      // 0.0.0.0/0 without `!` says nothing and is not printed
      if (inverted || !isUnspecified(address.mask)) header[part] = { value: address, inverted }
      return
    }
    case 'in':
    case 'out': {
      const prefix = value.text.endsWith('+')
      const name = prefix ? value.text.slice(0, -1) : value.text
      if (name.length > 15) fail(draft, value, 'a device name has at most 15 characters')
      else if (name !== '' || inverted || !prefix) header[part] = { value: { name, prefix }, inverted }
      return
    }
    case 'protocol': {
      const protocol = readProtocol(value.text)
      if (protocol === undefined) {
        const hint = didYouMean(value.text, protocolNumbers.keys())
        fail(draft, value, `there is no protocol \`${value.text}\``, hint)
        draft.unclear = true
        return
      }
      if (protocol === 0 && inverted) fail(draft, value, 'a rule without any protocol matches nothing')
      header.protocol = { value: protocol, inverted }
      scope.protocol = inverted || protocol === 0 ? -1 : protocol
      return
    }
    case 'fragment':
      return
  }
}
