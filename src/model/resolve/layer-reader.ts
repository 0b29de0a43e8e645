// The fields of one layer of a packet, read as numbers, addresses and flags.
import { type Ipv4, type Ipv6, isIpv4 } from '../../net/address.ts'
import type { parseMac } from '../../net/mac.ts'
import type { Layer, Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { numberIn, type Range, ranges } from '../words/numbers.ts'
import { isSet, optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'
import { readHostWord } from './ends.ts'
import { hexIn } from './hex-bytes.ts'
import type { Scope } from './scope.ts'
import { macNamed } from './short-packet.ts'

export interface Reader {
  readonly layer: Layer
  readonly next: Layer | undefined
  readonly device: DeviceDraft | undefined
  readonly scope: Scope
}

export function value({ layer }: Reader, name: string): Word | undefined {
  return optionValue(layer.fields, name)
}

export function number(reader: Reader, name: string, range: Range): number | undefined {
  const word = value(reader, name)
  return word === undefined ? undefined : numberIn(word, range, reader.scope.report)
}

export function flag({ layer }: Reader, name: string): true | undefined {
  return isSet(layer.fields, name) || undefined
}

export function mac(reader: Reader, name: string): ReturnType<typeof parseMac> {
  const word = value(reader, name)
  return word === undefined ? undefined : macNamed(word, reader.device, reader.scope)
}

export function ports(reader: Reader): { readonly source: number; readonly destination: number } {
  return {
    source: number(reader, 'sport', ranges.port) ?? 0,
    destination: number(reader, 'dport', ranges.port) ?? 0,
  }
}

export function raw(
  reader: Reader,
  name: string,
): readonly [{ kind: 'invalid'; data: Uint8Array }] | undefined {
  const word = value(reader, name)
  const data = word === undefined ? undefined : hexIn(word, reader.scope)
  return data && [{ kind: 'invalid', data }]
}

export function address4(reader: Reader, name: string): Ipv4 | undefined {
  const word = value(reader, name)
  const end = word && readHostWord(word, undefined, reader.scope)
  const found = end?.addresses.find(isIpv4)
  if (word !== undefined && end !== undefined && found === undefined) noAddress(word, 4, reader)
  return found
}

export function address6(reader: Reader, name: string): Ipv6 | undefined {
  const word = value(reader, name)
  const end = word && readHostWord(word, undefined, reader.scope)
  const found = end?.addresses.find((each): each is Ipv6 => !isIpv4(each))
  if (word !== undefined && end !== undefined && found === undefined) noAddress(word, 6, reader)
  return found
}

export function noAddress(word: Word, family: 4 | 6, { scope }: Reader): void {
  scope.report(mistakeIn('S143', word, `\`${word.text}\` has no IPv${family} address`))
}
