// Ports that NAT drew by chance (`--random-fully`, `fully-random`, a clash): each side drew its own. Flows of both sides are paired
// by their first direction, and a pair's ports get the same number.
import { conntrackEntries } from '../kernel/conntrack/text.ts'
import type { Machine } from '../kernel/machine.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { formatIp } from '../net/address.ts'
import type { Namespaces } from './namespaces.ts'

/** For each side what a drawn port is shown as. */
export interface ChosenPorts {
  readonly model: ReadonlyMap<number, number>
  readonly kernel: ReadonlyMap<number, number>
}

/** Drawn ports become numbers from here on. */
const firstNumber = 61_000

/** One direction of a flow as `conntrack -L` prints it, and the port or identifier that answers go to. */
interface DrawnPort {
  readonly original: string
  readonly port: number
}

function drawnByModel(ns: Namespace): DrawnPort[] {
  const chosen = ns.netfilter.conntrack?.chosenPorts
  if (chosen === undefined) return []
  return conntrackEntries(ns).flatMap(({ original: one, reply }) => {
    const port = reply.protocol === 1 || reply.protocol === 58 ? reply.sport : reply.dport
    if (!chosen.has(port)) return []
    const ends = `${one.protocol} ${formatIp(one.source)} ${formatIp(one.destination)}`
    const ports = one.protocol === 1 || one.protocol === 58 ? `${one.sport}` : `${one.sport} ${one.dport}`
    return [{ original: `${ends} ${ports}`, port }]
  })
}

/** `tcp 6 118 TIME_WAIT src=A dst=B sport=1 dport=2 src=B dst=C sport=2 dport=3`: both directions of a line. */
function drawnByKernel(line: string): DrawnPort | undefined {
  const protocol = /^\S+\s+(\d+)/.exec(line)?.[1]
  const values = (key: string): string[] =>
    [...line.matchAll(new RegExp(` ${key}=(\\S+)`, 'g'))].map((found) => found[1] ?? '')
  const [source, destination] = [values('src')[0], values('dst')[0]]
  const ids = values('id')
  if (ids.length === 2)
    return { original: `${protocol} ${source} ${destination} ${ids[0]}`, port: Number(ids[1]) }
  const [sports, dports] = [values('sport'), values('dport')]
  if (dports.length < 2) return undefined
  return {
    original: `${protocol} ${source} ${destination} ${sports[0]} ${dports[0]}`,
    port: Number(dports[1]),
  }
}

/** Pairs the drawn ports of all namespaces. Flows that one side does not have stay as they are. */
export function pairPorts(machine: Machine, namespaces: Namespaces): ChosenPorts {
  const model = new Map<number, number>()
  const kernel = new Map<number, number>()
  for (const ns of machine.namespaces.values()) {
    const drawn = drawnByModel(ns)
    if (drawn.length === 0) continue
    const text = (['ipv4', 'ipv6'] as const).map(
      (family) => namespaces.read(ns.name, ['conntrack', '-L', '-f', family]) ?? '',
    )
    const real = text
      .join('\n')
      .split('\n')
      .flatMap((line) => drawnByKernel(line) ?? [])
    for (const { original, port } of drawn) {
      const other = real.find((each) => each.original === original)
      if (other === undefined) continue
      const number = firstNumber + model.size
      model.set(port, number)
      kernel.set(other.port, number)
    }
  }
  return { model, kernel }
}
