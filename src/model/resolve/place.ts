// Places: `host/eth0/tc-in`, `n1/nf/nat/PREROUTING`, `app`, `-`. Enters: the words; leaves: node, device and stage, each
// known to exist.
import { didYouMean } from '../../base/closest.ts'
import type { Place, Word } from '../../syntax/ast.ts'
import type { PlaceRef } from '../claim.ts'
import { mistakeIn } from '../diagnose.ts'
import type { Given } from '../model.ts'
import { deviceStages, hostStages, netfilterTables } from '../words/closed.ts'
import { cellOf, given, isConstant, isNothing, isOpen } from '../words/fill.ts'
import type { HostDraft } from '../world/entities.ts'
import { deviceNames, hostNamed, isMadeByAgent, type Scope } from './scope.ts'

/** A step of a path, and the word it was written in. */
interface Piece {
  readonly text: string
  readonly word: Word
}

/** The steps of a place. A variable may hold several: `$where` with `app/eth0/rx` in the cell. */
function piecesOf(place: Place): readonly Piece[] {
  const pieces: Piece[] = []
  for (const word of place.segments) {
    if (!word.text.includes('/')) pieces.push({ text: word.text, word })
    else for (const text of word.text.split('/')) pieces.push({ text, word })
  }
  return pieces
}

/** The place as one text. */
export function placeText(place: Place): string {
  return place.segments.map((word) => word.text).join('/')
}

const read = new WeakMap<Scope, WeakMap<Place, Given<PlaceRef>>>()

/** A place with its parts, or undefined after a message. A place without variables is read once for all cases. */
export function readPlace(place: Place, scope: Scope): Given<PlaceRef> | undefined {
  if (!isConstant(place)) return readParts(place, scope)
  const places = read.get(scope) ?? new WeakMap<Place, Given<PlaceRef>>()
  read.set(scope, places)
  const known = places.get(place)
  if (known !== undefined) return known
  const found = readParts(place, scope)
  if (found !== undefined) places.set(place, found)
  return found
}

function readParts(place: Place, scope: Scope): Given<PlaceRef> | undefined {
  const [first, ...rest] = piecesOf(place)
  if (first === undefined) return undefined
  const text = placeText(place)
  const holder = place.segments.find((word) => cellOf(word) !== undefined) ?? first.word
  const found = { ...given(holder, undefined), span: place.span }
  if (isNothing(first.word) && place.segments.length === 1) {
    return { ...found, value: { text, node: '', nothing: true } }
  }
  const host = hostNamed(first.word, scope, first.text)
  if (host === undefined && !isOpen(first.word)) return undefined
  const parts = partsOf(rest, host, scope)
  return parts && { ...found, value: { text, node: host?.name ?? first.text, nothing: false, ...parts } }
}

type Parts = Pick<PlaceRef, 'device' | 'stage' | 'chain'>

function partsOf(pieces: readonly Piece[], host: HostDraft | undefined, scope: Scope): Parts | undefined {
  const [second, third, ...rest] = pieces
  if (second === undefined) return {}
  if (isHostStage(second.text)) return chainOf(second, third, rest, host, scope)
  const device = deviceOf(second, host, scope)
  if (device === 'unknown') return undefined
  if (third === undefined) return device
  const extra = rest[0]
  if (extra !== undefined) {
    scope.report(
      mistakeIn('S118', extra.word, `a place has no part behind the stage`, {
        hint: `leave \`/${extra.text}\` away`,
      }),
    )
    return undefined
  }
  const stages: readonly string[] = deviceStages
  if (!stages.includes(third.text) && !isOpen(third.word)) {
    const hint = didYouMean(third.text, stages) ?? `one of ${stages.slice(0, 9).join(', ')}`
    scope.report(mistakeIn('S118', third.word, `\`${third.text}\` is not a stage of a device`, { hint }))
    return undefined
  }
  return { ...device, stage: third.text }
}

function isHostStage(text: string): boolean {
  return (hostStages as readonly string[]).includes(text)
}

/** `..` is any device. */
function deviceOf(
  piece: Piece,
  host: HostDraft | undefined,
  scope: Scope,
): { readonly device?: string } | 'unknown' {
  if (piece.text === '..') return {}
  const known =
    host === undefined || host.devices.has(piece.text) || piece.text === 'lo' || isOpen(piece.word)
  if (known || isMadeByAgent(host, scope)) return { device: piece.text }
  const hint = didYouMean(piece.text, [...deviceNames(host), ...hostStages])
  scope.report(mistakeIn('S118', piece.word, `\`${host.name}\` has no device \`${piece.text}\``, { hint }))
  return 'unknown'
}

/** `nf/TABLE/CHAIN`, `cgroup/HOOK`, `proxy/PORT`: what follows the stage is its chain. */
function chainOf(
  stage: Piece,
  table: Piece | undefined,
  rest: readonly Piece[],
  host: HostDraft | undefined,
  scope: Scope,
): Parts | undefined {
  const chain = [table, ...rest].flatMap((piece) => (piece === undefined ? [] : [piece.text])).join('/')
  if (stage.text === 'nf' && table !== undefined && !mayHaveTable(table, host)) {
    const hint = didYouMean(table.text, netfilterTables) ?? `one of ${netfilterTables.join(', ')}`
    scope.report(mistakeIn('S118', table.word, `there is no netfilter table \`${table.text}\``, { hint }))
    return undefined
  }
  return chain === '' ? { stage: stage.text } : { stage: stage.text, chain }
}

function mayHaveTable(piece: Piece, host: HostDraft | undefined): boolean {
  if ((netfilterTables as readonly string[]).includes(piece.text) || isOpen(piece.word)) return true
  return host?.items.some((item) => item.kind === 'ruleset' && item.tool === 'nft') === true
}
