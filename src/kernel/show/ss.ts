// `ss -tunl`, `ss -tan`: sockets as iproute2 6.1 prints them into a pipe: every column as wide as its widest cell.
// Ports and addresses are always numbers, as with `-n`. UDP stands before TCP; inside each, listeners first, by port.
import { formatIp, type IpAddress, isIpv4, isUnspecified } from '../../net/address.ts'
import type { Namespace } from '../namespace.ts'
import { type Socket, socketState } from '../socket/socket.ts'
import { asTcp } from '../socket/tcp-socket.ts'

export interface SocketsOptions {
  readonly tcp: boolean
  readonly udp: boolean
  /** `-l`: listeners only; `-a`: all; neither: only those with a far end. */
  readonly which: 'listening' | 'all' | 'connected'
  readonly family: 4 | 6 | undefined
}

const stateNames: ReadonlyMap<number, string> = new Map([
  [socketState.established, 'ESTAB'],
  [socketState.synSent, 'SYN-SENT'],
  [socketState.synReceived, 'SYN-RECV'],
  [socketState.finWait1, 'FIN-WAIT-1'],
  [socketState.finWait2, 'FIN-WAIT-2'],
  [socketState.timeWait, 'TIME-WAIT'],
  [socketState.close, 'UNCONN'],
  [socketState.closeWait, 'CLOSE-WAIT'],
  [socketState.lastAck, 'LAST-ACK'],
  [socketState.listen, 'LISTEN'],
  [socketState.closing, 'CLOSING'],
])

/** `10.0.0.1:`, `[fd00::1]:`; `*:` is an IPv6 wildcard that takes IPv4 as well. */
function addressText(address: IpAddress, socket: Socket): string {
  if (isIpv4(address)) return `${formatIp(address)}:`
  if (isUnspecified(address) && !socket.options.v6only && socket.remotePort === 0) return '*:'
  return `[${formatIp(address)}]:`
}

/** ss reports the far end of an unconnected socket as the wildcard of its kind. */
function peerText(socket: Socket): string {
  if (socket.remotePort !== 0) return addressText(socket.remoteAddress, socket)
  const own = socket.localAddress
  if (isIpv4(own)) return '0.0.0.0:'
  return isUnspecified(own) && !socket.options.v6only ? '*:' : '[::]:'
}

function queues(socket: Socket, netid: string): readonly [number, number] {
  if (netid !== 'tcp') return [0, 0]
  const tcp = asTcp(socket)
  if (socket.state === socketState.listen) return [tcp.acceptQueue.length, tcp.backlog]
  return [tcp.receivedBytes, Math.max(0, (tcp.writeSeq - tcp.sndUna) >>> 0)]
}

function isWanted(socket: Socket, options: SocketsOptions): boolean {
  const isListening =
    socket.state === socketState.listen || (socket.state === socketState.close && socket.localPort !== 0)
  if (options.family !== undefined && socket.family !== options.family) return false
  if (options.which === 'all') return true
  return options.which === 'listening' ? isListening : !isListening
}

function row(netid: string, socket: Socket): readonly string[] {
  const [received, sent] = queues(socket, netid)
  return [
    netid,
    stateNames.get(socket.state) ?? 'UNKNOWN',
    String(received),
    String(sent),
    addressText(socket.localAddress, socket),
    String(socket.localPort),
    peerText(socket),
    socket.remotePort === 0 ? '*' : String(socket.remotePort),
    '',
  ]
}

function rows(ns: Namespace, options: SocketsOptions): readonly (readonly string[])[] {
  const { udp, tcpListeners, tcpFlows } = ns.sockets
  const lists = [
    ...(options.udp ? [{ netid: 'udp', sockets: [...(udp?.values() ?? [])].flat() }] : []),
    ...(options.tcp
      ? [
          { netid: 'tcp', sockets: [...(tcpListeners?.values() ?? [])].flat() },
          { netid: 'tcp', sockets: [...(tcpFlows?.values() ?? [])].flat() },
        ]
      : []),
  ]
  return lists.flatMap(({ netid, sockets }) =>
    sockets
      .filter((socket) => isWanted(socket, options))
      .toSorted((left, right) => left.localPort - right.localPort || left.order - right.order)
      .map((socket) => row(netid, socket)),
  )
}

/** Of each column: its heading, what stands before it, and whether it is pushed to the right. */
const columns = [
  { name: 'Netid', before: '', right: false },
  { name: 'State', before: ' ', right: false },
  { name: 'Recv-Q', before: ' ', right: false },
  { name: 'Send-Q', before: ' ', right: false },
  { name: 'Local Address:', before: ' ', right: true },
  { name: 'Port', before: '', right: false },
  { name: 'Peer Address:', before: ' ', right: true },
  { name: 'Port', before: '', right: false },
  { name: 'Process', before: '', right: false },
] as const

/** `ss`: the table with its heading. */
export function showSockets(ns: Namespace, options: SocketsOptions): string {
  const first = options.tcp && options.udp ? 0 : 1
  const table = [columns.map(({ name }) => name as string), ...rows(ns, options)]
  const widths = columns.map((_, column) => Math.max(...table.map((cells) => (cells[column] ?? '').length)))
  return table
    .map((cells) =>
      columns
        .map(({ before, right }, column) => {
          if (column < first) return ''
          const width = widths[column] ?? 0
          const cell = cells[column] ?? ''
          return `${column === first ? '' : before}${right ? cell.padStart(width) : cell.padEnd(width)}`
        })
        .join(''),
    )
    .map((line) => `${line}\n`)
    .join('')
}
