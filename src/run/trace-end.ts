// Closing a trace: what the recorder has, the names, and what the case left behind.

import { listNeighbours } from '../kernel/ip/list.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { socketState } from '../kernel/socket/socket.ts'
import { formatIp } from '../net/address.ts'
import { formatMac, macFrom } from '../net/mac.ts'
import type { PacketTrace, StateLine, Trace } from '../trace/event.ts'
import { conntrackLines } from './conntrack-lines.ts'
import { bindingsOf } from './names.ts'
import type { Run } from './run-state.ts'

/** The trace as it is now. */
export function finishTrace(run: Run, scenario: string): Trace {
  const packets: PacketTrace[] = run.machine.trace?.packets ?? []
  const state = [...run.machine.namespaces.values()]
    .filter((ns) => ns.devices.size > 0) // what is left of a deleted one is nobody's
    .map((ns) => ({ node: ns.name, lines: stateLines(ns) }))
    .filter(({ lines }) => lines.length > 0)
  const { id } = run.model
  return {
    scenario,
    ...(id === undefined ? {} : { case: id }),
    bindings: bindingsOf(run.model.world),
    packets,
    state,
  }
}

/** What a reviewer should know was left: tracked flows, neighbours that were learned or lost, connections that are still open. */
function stateLines(ns: Namespace): StateLine[] {
  return [...conntrackLines(ns), ...neighbourLines(ns, 4), ...neighbourLines(ns, 6), ...socketLines(ns)]
}

/** Neighbours that nobody declared and that did not start warm. */
function neighbourLines(ns: Namespace, family: 4 | 6): StateLine[] {
  const lines: StateLine[] = []
  if (family === 6 && !ns.ip.asked6) return lines
  for (const neighbour of listNeighbours(ns, family)) {
    if (neighbour.state === 'PERMANENT' || neighbour.state === 'NONE') continue
    const mac = ns.ip.warm?.(neighbour.device, neighbour.address)
    if (mac !== undefined && mac === neighbour.mac && neighbour.updated === 0) continue
    const lladdr = neighbour.mac < 0 ? '' : ` ${formatMac(macFrom(neighbour.mac))}`
    lines.push({
      word: `neigh${family}`,
      text: `${formatIp(neighbour.address)} ${neighbour.device.name}${lladdr} ${neighbour.state.toLowerCase()}`,
    })
  }
  return lines
}

const stateNames = new Map<number, string>(
  Object.entries(socketState).map(([name, value]) => [
    value,
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  ]),
)

/** TCP sockets that are neither listening nor closed. */
function socketLines(ns: Namespace): StateLine[] {
  const lines: StateLine[] = []
  for (const chain of ns.sockets.tcpFlows?.values() ?? []) {
    for (const socket of chain) {
      const local = endpoint(formatIp(socket.localAddress), socket.localPort)
      const remote = endpoint(formatIp(socket.remoteAddress), socket.remotePort)
      lines.push({
        word: 'tcp',
        text: `${local} > ${remote} ${stateNames.get(socket.state) ?? socket.state}`,
      })
    }
  }
  return lines.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
