// Plays the steps of a recorded case, as the recorder did: socket calls, frames, waiting.
import { born } from '../../src/kernel/birth.ts'
import { millisecond, second } from '../../src/kernel/clock.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import { skbFromFrame } from '../../src/kernel/skb.ts'
import { takeError } from '../../src/kernel/socket/base.ts'
import { failed, type Result } from '../../src/kernel/socket/errno.ts'

import { icmpEcho } from '../../src/kernel/socket/ping.ts'
import type { SocketOptions } from '../../src/kernel/socket/socket.ts'
import { socketState } from '../../src/kernel/socket/socket.ts'
import {
  tcpAccept,
  tcpBind,
  tcpClose,
  tcpConnect,
  tcpListen,
  tcpOpen,
  tcpReceive,
  tcpSend,
} from '../../src/kernel/socket/tcp.ts'
import { udpBind, udpClose, udpConnect, udpOpen, udpSend } from '../../src/kernel/socket/udp.ts'
import { udpReceive } from '../../src/kernel/socket/udp-read.ts'
import { sendFrame } from '../../src/kernel/transmit.ts'
import { formatIp } from '../../src/net/address.ts'
import { buildMachine } from './build.ts'
import type { Endpoint, RecordedCase, RecordedResult, RecordedStep } from './case.ts'
import { runCommand } from './commands.ts'
import { Notebook, type Sighting } from './markers.ts'
import { deviceOf, namespaceOf } from './named.ts'
import { Chosen, flowName, fromHex } from './normalise.ts'
import { markSockets, Sockets } from './sockets.ts'
import { address } from './words.ts'

/** Real time between two steps of the recorder: 20 to 60 ms, the longer ones after TCP calls. */
const pause = { udp: 20 * millisecond, tcp: 60 * millisecond }
/** How long its recv waited for nothing. */
const receiveTimeout = 300 * millisecond

export interface Played {
  readonly machine: Machine
  readonly chosen: Chosen
  readonly sightings: readonly Sighting[]
  /** What each step answered, in the words of the recorded result. */
  readonly results: ReadonlyMap<number, RecordedResult>
}

interface Stage {
  readonly machine: Machine
  readonly steps: readonly RecordedStep[]
  readonly sockets: Sockets
  readonly chosen: Chosen
}

function endpoint(at: Endpoint) {
  return { address: address(at[0]), port: at[1] }
}

function familyOf(at: Endpoint): 4 | 6 {
  return at[0].includes(':') ? 6 : 4
}

function taken<T>(result: Result<T>): T {
  if (failed(result)) throw new Error(`a call of the recorded case failed: ${result.errno}`)
  return result.ok
}

function optionsOf(step: RecordedStep): Partial<SocketOptions> {
  const { ttl, hoplimit, df, mark } = step.sockopts ?? {}
  const hops = ttl ?? hoplimit
  // the recorder set SO_REUSEADDR on every socket
  return {
    reuseAddr: true,
    ...(hops === undefined ? {} : { ttl: Number(hops) }),
    ...(df === undefined ? {} : { mtuDiscover: df as 'want' | 'do' | 'dont' }),
    ...(mark === undefined ? {} : { mark: Number(mark) }),
    ...(step.recverr === true ? { recvErr: true } : {}),
  }
}

const anyAddress: Endpoint = ['0.0.0.0', 0]

/** Where a socket that is not bound sends first: that says its family. */
function firstTarget({ steps }: Stage, id: string): Endpoint | undefined {
  const found = steps.find((step) => step.id === id && Array.isArray(step.dst))
  return found?.dst as Endpoint | undefined
}

function openUdp(stage: Stage, step: RecordedStep): RecordedResult {
  const ns = namespaceOf(stage.machine, step.ns)
  const bind = step.bind ?? undefined
  const id = step.id ?? ''
  const family = familyOf(bind ?? firstTarget(stage, id) ?? anyAddress)
  const socket = taken(udpOpen({ ns, family, label: id, options: optionsOf(step) }))
  stage.sockets.add(id, socket)
  if (bind !== undefined) taken(udpBind(socket, endpoint(bind)))
  return { ok: 'open' }
}

function payload(step: RecordedStep): Uint8Array {
  const bytes = new TextEncoder().encode(step.data ?? '')
  if (bytes.length === step.len) return bytes
  return new Uint8Array(step.len ?? 0).fill(bytes[0] ?? 0)
}

function send(stage: Stage, step: RecordedStep): RecordedResult {
  const udp = stage.sockets.udp(step.id)
  if (udp !== undefined) {
    if (!Array.isArray(step.dst)) return udpSend(udp, payload(step), {})
    const to = endpoint(step.dst as unknown as Endpoint)
    return udpSend(udp, payload(step), { to: { ...to, port: stage.chosen.realPort(to.port) } })
  }
  const tcp = stage.sockets.tcp(step.id)
  return tcp === undefined ? { errno: 'EBADF' } : tcpSend(tcp, payload(step))
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function receiveUdp(stage: Stage, step: RecordedStep): RecordedResult {
  const udp = stage.sockets.udp(step.id)
  if (udp === undefined) return { errno: 'EBADF' }
  const answer = udpReceive(udp, { withSource: true })
  for (const each of stage.sockets.named) if (each.socket === udp) each.waiting = udp.queue.length
  if (failed(answer)) return { errno: answer.errno === 'EAGAIN' ? 'TIMEOUT' : answer.errno }
  const { data, source, sourcePort } = answer.ok
  return { len: data.length, data: text(data), src: [formatIp(source), sourcePort] }
}

function receive(stage: Stage, step: RecordedStep): RecordedResult {
  const tcp = stage.sockets.tcp(step.id)
  if (step.result?.errno === 'TIMEOUT') stage.machine.clock.advance(stage.machine.clock.now + receiveTimeout)
  if (tcp === undefined) return receiveUdp(stage, step)
  const answer = tcpReceive(tcp)
  if (failed(answer)) return { errno: answer.errno === 'EAGAIN' ? 'TIMEOUT' : answer.errno }
  return { len: answer.ok.length, data: text(answer.ok) }
}

function connectUdp(stage: Stage, step: RecordedStep): RecordedResult {
  const udp = stage.sockets.udp(step.id)
  if (udp === undefined) return { errno: 'EBADF' }
  const answer = udpConnect(udp, endpoint(step.dst as unknown as Endpoint))
  return failed(answer) ? answer : { ok: 'connected' }
}

function listen(stage: Stage, step: RecordedStep): RecordedResult {
  const ns = namespaceOf(stage.machine, step.ns)
  const bind = step.bind as Endpoint
  const socket = taken(tcpOpen({ ns, family: familyOf(bind), label: step.id ?? '' }))
  taken(tcpBind(socket, endpoint(bind)))
  taken(tcpListen(socket))
  stage.sockets.add(step.id ?? '', socket)
  return { ok: 'listening' }
}

function connectTcp(stage: Stage, step: RecordedStep): RecordedResult {
  const { clock } = stage.machine
  const ns = namespaceOf(stage.machine, step.ns)
  const to = step.dst as unknown as Endpoint
  const socket = taken(tcpOpen({ ns, family: familyOf(to), label: step.id ?? '' }))
  stage.sockets.add(step.id ?? '', socket)
  if (step.bind) taken(tcpBind(socket, endpoint(step.bind)))
  const started = tcpConnect(socket, endpoint(to))
  if (failed(started)) return started
  const deadline = clock.now + (step.timeout_s ?? 1) * second
  clock.drain()
  while (socket.state !== socketState.established && socket.error === undefined && clock.now < deadline) {
    clock.advance(Math.min(deadline, clock.nextTimer() ?? deadline))
  }
  if (socket.state === socketState.established) return { ok: 'connected' }
  const error = takeError(socket)
  tcpClose(socket)
  return { errno: error ?? 'TIMEOUT' }
}

function accept(stage: Stage, step: RecordedStep): RecordedResult {
  const listener = stage.sockets.tcp(step.listener)
  if (listener === undefined) return { errno: 'EBADF' }
  if (step.result?.errno === 'TIMEOUT') stage.machine.clock.advance(stage.machine.clock.now + receiveTimeout)
  const answer = tcpAccept(listener)
  if (failed(answer)) return { errno: answer.errno === 'EAGAIN' ? 'TIMEOUT' : answer.errno }
  stage.sockets.add(step.id ?? '', answer.ok, step.listener)
  return { ok: 'accepted' }
}

function close(stage: Stage, step: RecordedStep): RecordedResult {
  const udp = stage.sockets.udp(step.id)
  const tcp = stage.sockets.tcp(step.id)
  if (udp !== undefined) udpClose(udp)
  if (tcp !== undefined) tcpClose(tcp)
  return { ok: 'closed' }
}

/** Where the transport header of an injected frame stands. */
function transportAt(frame: Uint8Array): number {
  const first = frame[14] ?? 0
  return first >> 4 === 4 ? 14 + (first & 15) * 4 : 54
}

/** A TCP flow that was injected keeps its sequence numbers. */
function keepSequences(chosen: Chosen, frame: Uint8Array): void {
  const hex = (from: number, to: number): string => Buffer.from(frame.subarray(from, to)).toString('hex')
  const port = (at: number): number => ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0)
  const l4 = transportAt(frame)
  if (hex(12, 14) === '0800' && frame[23] === 6)
    chosen.keep(flowName(hex(26, 30), port(l4), hex(30, 34), port(l4 + 2)))
  if (hex(12, 14) === '86dd' && frame[20] === 6)
    chosen.keep(flowName(hex(22, 38), port(l4), hex(38, 54), port(l4 + 2)))
}

function sendRaw(stage: Stage, step: RecordedStep): RecordedResult {
  const dev = deviceOf(namespaceOf(stage.machine, step.ns), step.dev)
  const frame = fromHex(step.hex ?? '')
  keepSequences(stage.chosen, frame)
  const skb = skbFromFrame(dev, frame)
  born(skb, `raw${step.n}`)
  const answer = sendFrame(skb)
  return answer === 1 ? { errno: 'ENOBUFS' } : { ok: frame.length }
}

function echo(stage: Stage, step: RecordedStep): RecordedResult {
  const ns = namespaceOf(stage.machine, step.ns)
  const data = new Uint8Array(step.payload_len ?? 0).map((_byte, index) => index)
  const answer = icmpEcho(ns, {
    destination: address(String(step.dst)),
    label: step.id ?? '',
    identifier: step.ident ?? 0,
    sequence: step.seq ?? 0,
    ttl: step.ttl ?? 64,
    data,
    // the recorder's own IP header had no DF
    options: { mtuDiscover: 'dont' },
  })
  return failed(answer) ? answer : { ok: data.length + 8 }
}

/** A command of an administrator; results of the real tools are not compared. */
function configure({ machine }: Stage, step: RecordedStep): RecordedResult {
  runCommand(namespaceOf(machine, step.ns), step.command ?? '')
  return step.result ?? {}
}

const operations: Readonly<Record<string, (stage: Stage, step: RecordedStep) => RecordedResult>> = {
  udp_socket: openUdp,
  connect: connectUdp,
  send,
  sendto: send,
  recv: receive,
  tcp_listen: listen,
  tcp_connect: connectTcp,
  accept,
  close,
  raw_frame: sendRaw,
  icmp_echo: echo,
  note: (_stage, step) => step.result ?? {},
  config: configure,
  wait: ({ machine }, step) => {
    machine.clock.advance(machine.clock.now + (step.seconds ?? 0) * second)
    return step.result ?? {}
  },
}

/** net.ipv4.ip_local_port_range */
const ephemeral = { first: 32_768, last: 60_999 }

/** Every number that a case names: a port among them was not chosen by a kernel. */
function namedNumbers({ topology, steps }: RecordedCase): Set<number> {
  const frames = steps.flatMap((step) => step.hex ?? [])
  const asked = steps.map(({ result: _result, hex: _hex, ...step }) => step)
  const named = new Set(JSON.stringify([topology, asked]).match(/\d+/g)?.map(Number))
  for (const frame of frames) for (const port of portsIn(fromHex(frame))) named.add(port)
  return named
}

/** The ports of an injected frame. */
function portsIn(frame: Uint8Array): number[] {
  const port = (at: number): number => ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0)
  const l4 = transportAt(frame)
  return [port(l4), port(l4 + 2)]
}

/** Runs a case from its topology to its last step. */
export function play(recorded: RecordedCase): Played {
  const chosen = new Chosen()
  const named = namedNumbers(recorded)
  chosen.isEphemeral = (port) => port >= ephemeral.first && port <= ephemeral.last && !named.has(port)
  const notebook = new Notebook(chosen)
  const machine = buildMachine(recorded, notebook)
  for (const { netfilter } of machine.namespaces.values()) {
    chosen.natPorts.push(() => netfilter.conntrack?.chosenPorts)
  }
  const stage: Stage = { machine, steps: recorded.steps, sockets: new Sockets(), chosen }
  markSockets(machine, stage.sockets, notebook)
  const results = new Map<number, RecordedResult>()
  for (const step of recorded.steps) {
    notebook.step = step.n
    const operation = operations[step.op]
    if (operation === undefined) throw new Error(`no such step: ${step.op}`)
    results.set(step.n, operation(stage, step))
    const spent = stage.sockets.udp(step.id) === undefined ? pause.tcp : pause.udp
    machine.clock.advance(machine.clock.now + spent)
  }
  return { machine, chosen, sightings: notebook.sightings, results }
}
