// `like f1.syn except`: a packet that went the way of an earlier one is written as its differences. Enters: the hooks of
// both; leaves: exceptions, and from exceptions the hooks again. An exception names a hook and an effect:
//
//   @ n1 eth0 tc-in: ct established service     replaces the effect that begins with the same words
//   @ n1 eth0 tc-in: no ip-opt                  removes the effect that begins with these words
//
// Which effect is meant: the one with the longest agreement of words from the start (at least one), then from the end,
// then the first. A text that agrees with no effect is added where its first word stands in the canonical order. The
// writer applies its own exceptions and gives up unless they yield the packet again, so every reference is reversible.
import { align } from './align.ts'
import type { Hook, PacketSection } from './section.ts'
import { placeOf } from './section.ts'

/** One exception: the hook by node and place, and `no X` or the effect that stands there instead. */
export interface Exception {
  readonly node: string
  readonly place: string
  readonly text: string
  readonly row: number
}

/** What a `like` line says. */
export interface Reference {
  readonly packet: string
  readonly exceptions: readonly Exception[]
}

/** First words of effects in canonical order; unknown words stand with the lookups. */
const wordOrder = new Map<string, number>(
  [
    ['service', 'ct', 'policy', 'dsr', 'map', 'lookup', 'helper', 'tail-call'],
    ['dnat', 'snat', 'swap'],
    ['ip-opt'],
    ['source'],
    ['ttl', 'payload', 'packet'],
    ['vlan', 'meta', 'eth.dst', 'eth.src', 'mark'],
    ['fib'],
    ['tunnel', 'vxlan', 'geneve', 'ipip', 'wireguard', 'esp'],
    ['monitor', 'record', 'event', 'drop'],
    ['tail'],
  ].flatMap((words, rank) => words.map((word) => [word, rank] as const)),
)

function rankOf(text: string): number {
  const blank = text.indexOf(' ')
  return wordOrder.get(blank < 0 ? text : text.slice(0, blank)) ?? 0
}

/** How many words two texts share from their start, and from their end. */
function agreement(left: readonly string[], right: readonly string[]): number {
  const most = Math.min(left.length, right.length)
  let first = 0
  while (first < most && left[first] === right[first]) first += 1
  if (first === 0) return 0
  let last = 0
  while (last < most - first && left.at(-1 - last) === right.at(-1 - last)) last += 1
  return first * 1000 + last
}

interface OpenEffect {
  readonly text: string
  /** Already placed by an exception: no second one may take it. */
  readonly done: boolean
}

interface OpenHook {
  readonly hook: Hook
  readonly effects: OpenEffect[]
  readonly rows: number[] | undefined
  touched: boolean
}

function indexFor(effects: readonly OpenEffect[], text: string): number {
  const words = text.split(' ')
  let best = -1
  let bestScore = 0
  effects.forEach((effect, index) => {
    if (effect.done) return
    const score = agreement(effect.text.split(' '), words)
    if (score > bestScore) {
      best = index
      bestScore = score
    }
  })
  return best
}

function startsWithWords(text: string, words: string): boolean {
  return text === words || text.startsWith(`${words} `)
}

/** Whether the exception found what it speaks of. */
function applyTo(open: OpenHook, { text, row }: Exception): boolean {
  const { effects } = open
  if (text.startsWith('no ')) {
    const words = text.slice(3)
    const index = effects.findIndex((effect) => !effect.done && startsWithWords(effect.text, words))
    if (index < 0) return false
    effects.splice(index, 1)
    open.rows?.splice(index + 1, 1)
    return true
  }
  const index = indexFor(effects, text)
  const made: OpenEffect = { text, done: true }
  if (index >= 0) {
    effects[index] = made
    if (open.rows !== undefined) open.rows[index + 1] = row
    return true
  }
  const rank = rankOf(text)
  const later = effects.findIndex((effect) => rankOf(effect.text) > rank)
  const at = later < 0 ? effects.length : later
  effects.splice(at, 0, made)
  open.rows?.splice(at + 1, 0, row)
  return true
}

export type Applied =
  | { readonly kind: 'applied'; readonly hooks: readonly Hook[] }
  /** The exception that names a hook or an effect which is not there. */
  | { readonly kind: 'unknown'; readonly exception: Exception }

/**
 * The hooks that a reference stands for. `row` is the line of the reference in a golden: hooks that it repeats have no
 * line of their own.
 */
export function applyReference(
  base: readonly Hook[],
  exceptions: readonly Exception[],
  row?: number,
): Applied {
  const open = base.map((hook): OpenHook => {
    const rows = row === undefined ? undefined : [row, ...hook.effects.map(() => row)]
    return {
      hook,
      effects: hook.effects.map((text) => ({ text, done: false })),
      rows,
      touched: row !== undefined,
    }
  })
  const byPlace = new Map<string, OpenHook>()
  for (const each of open) {
    const key = `${each.hook.node} ${placeOf(each.hook.line)}`
    if (!byPlace.has(key)) byPlace.set(key, each)
  }
  for (const exception of exceptions) {
    const target = byPlace.get(`${exception.node} ${exception.place}`)
    if (target === undefined || !applyTo(target, exception)) return { kind: 'unknown', exception }
    target.touched = true
  }
  const hooks = open.map(({ hook, effects, rows, touched }): Hook => {
    if (!touched) return hook
    const texts = effects.map(({ text }) => text)
    return { node: hook.node, line: hook.line, effects: texts, ...(rows === undefined ? {} : { rows }) }
  })
  return { kind: 'applied', hooks }
}

/** First words that say too little alone. */
const needsTwoWords = new Set(['dsr'])

/** The fewest words that name the effect at `index` among those before it. */
function shortName(effects: readonly string[], index: number): string {
  const text = effects[index] ?? ''
  const words = text.split(' ')
  for (let count = needsTwoWords.has(words[0] ?? '') ? 2 : 1; count < words.length; count += 1) {
    const name = words.slice(0, count).join(' ')
    if (effects.findIndex((effect) => startsWithWords(effect, name)) === index) return name
  }
  return text
}

/** What turns one list of effects into another, gap by gap: pairs of the same first word first, then what is left. */
function exceptionsBetween(base: readonly string[], wanted: readonly string[]): string[] {
  const partner = align(base, wanted)
  const texts: string[] = []
  let at = 0
  let next = 0
  while (at <= base.length) {
    const gone: number[] = []
    for (; at < base.length && partner[at] === -1; at += 1) gone.push(at)
    const end = at < base.length ? (partner[at] ?? wanted.length) : wanted.length
    const come = wanted.slice(next, end)
    for (const index of gone) {
      const word = (base[index] ?? '').split(' ', 1)[0] ?? ''
      const found = come.findIndex((text) => text.split(' ', 1)[0] === word)
      if (found < 0) texts.push(`no ${shortName(base, index)}`)
      else texts.push(...come.splice(found, 1))
    }
    texts.push(...come)
    next = end + 1
    at += 1
  }
  return texts
}

function sameHooks(left: readonly Hook[], right: readonly Hook[]): boolean {
  return left.every((hook, index) => {
    const other = right[index]
    return other !== undefined && hook.line === other.line && sameTexts(hook.effects, other.effects)
  })
}

function sameTexts(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, index) => text === right[index])
}

/** Lines of a packet that is written out: one for each change of node, each hook and each effect. */
function writtenLines(hooks: readonly Hook[]): number {
  let lines = 0
  let node: string | undefined
  for (const hook of hooks) {
    if (hook.node !== node) lines += 1
    node = hook.node
    lines += 1 + hook.effects.length
  }
  return lines
}

/** The exceptions that turn one packet into another on the same way; undefined where that is impossible or not shorter. */
function differenceOf(base: PacketSection, packet: PacketSection): Exception[] | undefined {
  const most = writtenLines(packet.hooks) - 2
  const exceptions: Exception[] = []
  for (const [index, hook] of packet.hooks.entries()) {
    const old = base.hooks[index]
    if (old === undefined) return undefined
    if (sameTexts(old.effects, hook.effects)) continue
    for (const text of exceptionsBetween(old.effects, hook.effects)) {
      exceptions.push({ node: hook.node, place: placeOf(hook.line), text, row: 0 })
    }
    if (exceptions.length > most) return undefined
  }
  if (exceptions.length > most) return undefined
  const applied = applyReference(base.hooks, exceptions)
  return applied.kind === 'applied' && sameHooks(packet.hooks, applied.hooks) ? exceptions : undefined
}

const candidatesMax = 8

/** Remembers the packets that were written out, by their way, and finds the one to refer to. */
export class References {
  private readonly byWay = new Map<string, PacketSection[]>()

  /** The shortest reference for a packet, to the earliest of equals; undefined when it must be written out. */
  find(packet: PacketSection): Reference | undefined {
    if (packet.hooks.length === 0) return undefined
    const way = packet.hooks.map((hook) => `${hook.node}\n${hook.line}`).join('\n')
    const known = this.byWay.get(way)
    let best: Reference | undefined
    for (const base of known ?? []) {
      const exceptions = differenceOf(base, packet)
      if (exceptions === undefined || (best !== undefined && exceptions.length >= best.exceptions.length))
        continue
      best = { packet: base.name, exceptions }
      if (exceptions.length === 0) break
    }
    if (best !== undefined) return best
    if (known === undefined) this.byWay.set(way, [packet])
    else if (known.length < candidatesMax) known.push(packet)
    return undefined
  }
}
