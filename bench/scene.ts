// A world of pods on nodes, as large as wanted, with one UDP flow between two pods of different nodes: pod, node, wire,
// node, pod. Every pod has its host route, every node a route to every other node's pods.
import { type Booted, boot } from '../src/boot/boot.ts'
import { failed } from '../src/kernel/socket/errno.ts'
import { udpOpen, udpSend } from '../src/kernel/socket/udp.ts'
import { udpReceive } from '../src/kernel/socket/udp-read.ts'
import { check } from '../src/model/check.ts'
import type { World } from '../src/model/model.ts'
import { parseIp } from '../src/net/address.ts'
import { bindingsOf } from '../src/run/names.ts'
import { attempt } from '../src/syntax/expected.ts'
import type { Level, Trace } from '../src/trace/event.ts'
import { formatSection } from '../src/trace/format.ts'
import { sectionOf } from '../src/trace/section-of.ts'

const gateway = '02:00:00:00:00:01'

function nodeLines(node: number, nodes: number, pods: number): string[] {
  const lines = [`node n${node} {`, `dev eth0 on lan 192.168.0.${node + 1}`, 'sysctl net.ipv4.ip_forward = 1']
  for (let pod = 0; pod < pods; pod += 1) {
    lines.push(
      `dev v${pod} peer p${node}-${pod}/eth0 mac ${gateway}`,
      `route 10.0.${node}.${pod + 1}/32 dev v${pod}`,
    )
  }
  for (let other = 0; other < nodes; other += 1) {
    if (other !== node) lines.push(`route 10.0.${other}.0/24 via 192.168.0.${other + 1}`)
  }
  return [...lines, '}']
}

function podLines(node: number, pod: number): string[] {
  return [
    `netns p${node}-${pod} on n${node} {`,
    `dev eth0 10.0.${node}.${pod + 1}/24 peer n${node}/v${pod}`,
    'route 169.254.1.1 dev eth0',
    'route default via 169.254.1.1',
    `neigh 169.254.1.1 ${gateway} dev eth0 permanent`,
    'listen udp 7',
    '}',
  ]
}

/** The spec of a world with so many namespaces (10, 100, 1,000 or 10,000), nodes included. */
export function worldSpec(namespaces: number): string {
  const nodes = Math.max(2, namespaces / 100)
  const pods = namespaces / nodes - 1
  const lines = ['scn 1', 'topology {', 'net lan 192.168.0.0/16']
  for (let node = 0; node < nodes; node += 1) {
    lines.push(...nodeLines(node, nodes, pods))
    for (let pod = 0; pod < pods; pod += 1) lines.push(...podLines(node, pod))
  }
  lines.push('}', 'scenario flow {', 'f1: udp p0-0:4000 > p1-0:7 { send 20 }', '}', '')
  return lines.join('\n')
}

/** The same, checked. */
export function worldOf(namespaces: number): World {
  return checkedWorld(worldSpec(namespaces))
}

/** The world of a text, which may be longer than a file may be: it goes to the grammar directly. */
export function checkedWorld(text: string): World {
  const parsed = attempt({ name: 'world.scn', text }, text)
  if (!parsed.ok) throw new Error(`the world does not parse at ${text.slice(parsed.at, parsed.at + 40)}`)
  const checked = check({ main: parsed.file, imports: new Map() })
  if (!checked.ok) throw new Error(checked.diagnostics[0]?.message)
  return checked.value.scenarios[0]!.cases[0]!.world
}

const endless = { tasksMax: Number.MAX_SAFE_INTEGER, packetsMax: Number.MAX_SAFE_INTEGER }

/** Boots a world; nothing is recorded without `level`. */
export function bootWorld(world: World, level?: Level): Booted {
  const trace = level === undefined ? {} : { trace: { full: level === 'full' } }
  return boot(world, { seed: 0, limits: endless, ...trace })
}

/** A booted world in which packets go from one pod to another. */
export interface Scene {
  /** Sends so many datagrams, one after the other, and reads each where it arrives. */
  readonly send: (count: number) => void
  /** The trace so far as text. */
  readonly text: (level: Level) => string
}

const firstPods = { client: 'p0-0', server: 'p1-0', address: '10.0.1.1' }

/**
 * Makes a scene of two pods, the second of which listens at port 7 of the address; one datagram goes ahead, so that sockets
 * are bound and tables made.
 */
export function sceneOf(world: World, booted: Booted, pods = firstPods): Scene {
  const { machine, listeners } = booted
  const client = udpOpen({ ns: machine.namespaces.get(pods.client)!, family: 4, label: 'f1' })
  if (failed(client)) throw new Error(client.errno)
  const server = listeners.find(({ socket }) => socket.ns.name === pods.server)
  const address = parseIp(pods.address)
  if (server?.kind !== 'udp' || address === undefined) throw new Error('the receiver listens')
  const to = { address, port: 7 }
  const data = new Uint8Array(20)
  const send = (count: number): void => {
    for (let sent = 0; sent < count; sent += 1) {
      const answer = udpSend(client.ok, data, { to })
      machine.clock.drain()
      if (failed(answer) || failed(udpReceive(server.socket))) throw new Error('a datagram was lost')
    }
  }
  send(1)
  const text = (level: Level): string => {
    const trace: Trace = {
      scenario: 'flow',
      bindings: bindingsOf(world),
      packets: machine.trace?.packets ?? [],
      state: [],
    }
    return formatSection(sectionOf(trace, { level }))
  }
  return { send, text }
}
