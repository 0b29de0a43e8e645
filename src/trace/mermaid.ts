// A trace as a Mermaid sequence diagram: namespaces are participants, a packet that moves from one to the next is an
// arrow, and what hooks did is a note. Enters: a Trace; leaves: text for a ```mermaid block.
import type { Outcome, Trace } from './event.ts'
import { placeOf } from './section.ts'
import { type FormatOptions, outcomeText, type ShownPacket, shownPackets } from './section-of.ts'

/** The text of a diagram, with a final newline. */
export function traceToMermaid(trace: Trace, options: FormatOptions = { level: 'hops' }): string {
  const packets = shownPackets(trace, options)
  const ids = new Map<string, string>()
  const idOf = (node: string): string => {
    const id = ids.get(node) ?? `n${ids.size}`
    ids.set(node, id)
    return id
  }
  const body = packets.flatMap((packet) => packetLines(packet, idOf))
  const participants = [...ids].map(([node, id]) => `  participant ${id} as ${escaped(node)}`)
  return `${['sequenceDiagram', ...participants, ...body].join('\n')}\n`
}

/** Signs that end or change a text in Mermaid. */
function escaped(text: string): string {
  return text.replace(/[#;<>]/g, (sign) => `#${sign.charCodeAt(0)};`)
}

function packetLines({ packet, summary, hooks }: ShownPacket, idOf: (node: string) => string): string[] {
  const lines: string[] = []
  let at: string | undefined
  for (const { hook } of hooks) {
    const id = idOf(hook.node)
    const label = escaped(`${packet.name} ${summary}`)
    if (at === undefined) lines.push(`  Note over ${id}: ${label}`)
    else if (at !== id) lines.push(`  ${at}->>${id}: ${escaped(packet.name)}`)
    at = id
    const bare = hook.line === placeOf(hook.line) && hook.effects.length === 0
    if (bare) continue
    const note = [hook.line.replace(/ {2,}/g, ' '), ...hook.effects].map(escaped).join('<br/>')
    lines.push(`  Note over ${id}: ${note}`)
  }
  for (const outcome of packet.outcomes) lines.push(outcomeLine(outcome, packet.name, idOf))
  return lines
}

/** A cross where a packet was lost, an arrow to itself where it arrived. */
function outcomeLine(outcome: Outcome, name: string, idOf: (node: string) => string): string {
  const id = idOf(outcome.node)
  const arrow = outcome.kind === 'delivered' ? '->>' : '-x'
  return `  ${id}${arrow}${id}: ${escaped(`${name} ${outcomeText(outcome)}`)}`
}
