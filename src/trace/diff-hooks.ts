// The hooks of one packet, accepted and actual, side by side. Lines belong to their hook: a hook that rewrote something
// else is one difference with the effects around it, not a heap of lines.
import { type AlignWork, align } from './align.ts'
import type { Difference, DiffLine } from './difference.ts'
import { actorOf, type Hook, type PacketSection, placeOf } from './section.ts'

/** Finds the hooks that differ and adds one difference for each, in the packet's order. */
export function compareHooks(
  expected: PacketSection,
  actual: PacketSection,
  differences: Difference[],
  work: AlignWork,
): void {
  const partner = pairHooks(expected.hooks, actual.hooks, work)
  let next = 0
  let row = expected.row ?? 0
  const come = (end: number): void => {
    for (; next < end; next += 1) {
      const hook = actual.hooks[next]
      if (hook !== undefined) differences.push(oneSided('+', hook, { packet: expected.name, row }))
    }
  }
  expected.hooks.forEach((old, index) => {
    row = old.rows?.[0] ?? row
    const found = partner[index] ?? -1
    const now = actual.hooks[found]
    if (now === undefined) {
      differences.push(oneSided('-', old, { packet: expected.name, row }))
      return
    }
    come(found)
    next = found + 1
    comparePair(old, now, expected.name, differences, work)
  })
  come(actual.hooks.length)
}

/** Partners by equal hook lines; what is left between two of them is paired by node and place, in order. */
function pairHooks(expected: readonly Hook[], actual: readonly Hook[], work: AlignWork): Int32Array {
  const key = ({ node, line }: Hook): string => `${node}\n${line}`
  const partner = align(expected.map(key), actual.map(key), work)
  let index = 0
  let next = 0
  while (index < expected.length) {
    const start = index
    while (index < expected.length && partner[index] === -1) index += 1
    const end = index < expected.length ? (partner[index] ?? actual.length) : actual.length
    pairByPlace({ expected, actual, partner, work }, { start, stop: index, next, end })
    next = end + 1
    index += 1
  }
  return partner
}

interface Pairing {
  readonly expected: readonly Hook[]
  readonly actual: readonly Hook[]
  readonly partner: Int32Array
  readonly work: AlignWork
}

interface Gap {
  readonly start: number
  readonly stop: number
  readonly next: number
  readonly end: number
}

function pairByPlace({ expected, actual, partner, work }: Pairing, { start, stop, next, end }: Gap): void {
  if (start === stop || next >= end) return
  const place = ({ node, line }: Hook): string => `${node}\n${placeOf(line)}`
  const found = align(expected.slice(start, stop).map(place), actual.slice(next, end).map(place), work)
  found.forEach((other, index) => {
    if (other >= 0) partner[start + index] = next + other
  })
}

function oneSided(
  sign: '-' | '+',
  hook: Hook,
  { packet, row }: { readonly packet: string; readonly row: number },
): Difference {
  const at = (index: number): number => (sign === '-' ? (hook.rows?.[index] ?? 0) : 0)
  const lines: DiffLine[] = [{ sign, text: hook.line, row: at(0) }]
  hook.effects.forEach((text, index) => {
    lines.push({ sign, text: `  ${text}`, row: at(index + 1) })
  })
  return { ...siteOf(hook), kind: 'hook', packet, row, lines }
}

function siteOf({ node, line }: Hook): Pick<Difference, 'node' | 'place' | 'actor'> {
  return { node, place: placeOf(line), actor: actorOf(line) }
}

function sameEffects(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, index) => text === right[index])
}

function comparePair(old: Hook, now: Hook, packet: string, differences: Difference[], work: AlignWork): void {
  const sameLine = old.line === now.line
  if (sameLine && sameEffects(old.effects, now.effects)) return
  const lines: DiffLine[] = []
  if (!sameLine) {
    lines.push({ sign: '-', text: old.line, row: old.rows?.[0] ?? 0 }, { sign: '+', text: now.line, row: 0 })
  }
  lines.push(...effectLines(old, now, { indent: sameLine ? '' : '  ', work }))
  const first = lines.find(({ sign, row }) => sign === '-' && row > 0)
  const row = first?.row ?? lines.find((line) => line.row > 0)?.row ?? old.rows?.[0] ?? 0
  differences.push({ ...siteOf(sameLine ? old : now), kind: 'hook', packet, row, lines })
}

/** The effects that differ with one line of context on each side; removed ones before those that took their place. */
function effectLines(
  old: Hook,
  now: Hook,
  { indent, work }: { readonly indent: string; readonly work: AlignWork },
): DiffLine[] {
  const partner = align(old.effects, now.effects, work)
  const all: DiffLine[] = []
  let next = 0
  const come = (end: number): void => {
    for (; next < end; next += 1) all.push({ sign: '+', text: indent + (now.effects[next] ?? ''), row: 0 })
  }
  old.effects.forEach((text, index) => {
    const found = partner[index] ?? -1
    const row = old.rows?.[index + 1] ?? 0
    if (found >= 0) {
      come(found)
      next = found + 1
    }
    all.push({ sign: found < 0 ? '-' : ' ', text: indent + text, row })
  })
  come(now.effects.length)
  return all.filter((line, index) => {
    const near = [all[index - 1], line, all[index + 1]]
    return near.some((each) => each !== undefined && each.sign !== ' ')
  })
}
