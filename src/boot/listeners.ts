// `listen tcp 80`: sockets that wait in a namespace from the start. `echo` sends back what arrives, `discard` reads and
// forgets, `http` and `dns` answer requests; without a word the steps of the scenario speak for the program.
import { serveDns, serveDnsStream } from '../app/dns-server.ts'
import { serveHttp } from '../app/http-server.ts'
import { assert } from '../base/assert.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { failed, type Result } from '../kernel/socket/errno.ts'
import { serveTcp, serveUdp } from '../kernel/socket/program.ts'
import type { SocketOptions } from '../kernel/socket/socket.ts'
import { tcpBind, tcpClose, tcpListen, tcpOpen } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import { udpBind, udpClose, udpOpen } from '../kernel/socket/udp.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import type { ListenModel } from '../model/model.ts'
import { anyIpv4, anyIpv6, isIpv4, sameIp } from '../net/address.ts'

/** Length of the body that a web server sends (bytes). */
export const defaultBodyBytes = 3

/** A waiting socket and what its program does with what arrives. */
export type Listener =
  | { readonly kind: 'tcp'; readonly socket: TcpSocket; readonly app: ListenModel['app'] }
  | { readonly kind: 'udp'; readonly socket: UdpSocket; readonly app: ListenModel['app'] }

function optionsOf({ ttl, mark, v6only, reuseport, transparent }: ListenModel): Partial<SocketOptions> {
  return {
    ...(ttl === undefined ? {} : { ttl }),
    ...(mark === undefined ? {} : { mark }),
    ...(v6only === undefined ? {} : { v6only }),
    ...(reuseport === undefined ? {} : { reusePort: reuseport }),
    ...(transparent === undefined ? {} : { transparent }),
  }
}

/** Opens a socket, or says why the kernel refuses it; without an address it takes both families, or IPv6 alone with `v6only`. */
export function startListener(ns: Namespace, listen: ListenModel): Result<Listener> {
  const family = listen.address !== undefined && isIpv4(listen.address) ? 4 : 6
  const address = listen.address ?? anyIpv6
  const label = `${ns.name}-${listen.protocol}-${listen.port}`
  const open = { ns, family, label, options: optionsOf(listen) } as const
  if (listen.protocol === 'udp') {
    const socket = udpOpen(open)
    if (failed(socket)) return socket
    const bound = udpBind(socket.ok, { address, port: listen.port })
    if (failed(bound)) return bound
    if (listen.app === 'echo') serveUdp(socket.ok, ({ data }) => data)
    if (listen.app === 'discard') serveUdp(socket.ok, () => undefined)
    if (listen.app === 'dns') serveDns(socket.ok, listen.answers ?? [])
    return { ok: { kind: 'udp', socket: socket.ok, app: listen.app } }
  }
  const socket = tcpOpen(open)
  if (failed(socket)) return socket
  const bound = tcpBind(socket.ok, { address, port: listen.port })
  if (failed(bound)) return bound
  const listening = tcpListen(socket.ok, listen.backlog)
  if (failed(listening)) return listening
  if (listen.app === 'echo') serveTcp(socket.ok, { received: (_, data) => data })
  if (listen.app === 'discard') serveTcp(socket.ok, { received: () => undefined })
  if (listen.app === 'dns') serveDnsStream(socket.ok, listen.answers ?? [])
  if (listen.app === 'http')
    serveHttp(socket.ok, {
      status: listen.status ?? 200,
      bytes: listen.bodyBytes ?? defaultBodyBytes,
      chunked: listen.chunked ?? false,
    })
  return { ok: { kind: 'tcp', socket: socket.ok, app: listen.app } }
}

/** The same for the sockets of a topology, which the checks have accepted. */
export function mustListen(ns: Namespace, listen: ListenModel): Listener {
  const started = startListener(ns, listen)
  assert(!failed(started), `${ns.name} listens on ${listen.protocol} ${listen.port}`)
  return started.ok
}

/** Closes the sockets that a line started; answers what is left. */
export function stopListeners(
  listeners: readonly Listener[],
  ns: Namespace,
  listen: ListenModel,
): Listener[] {
  const address = listen.address ?? anyIpv6
  return listeners.filter((each) => {
    const { socket } = each
    const isMeant =
      each.kind === listen.protocol &&
      socket.ns === ns &&
      socket.localPort === listen.port &&
      sameIp(socket.localAddress, address)
    if (!isMeant) return true
    if (each.kind === 'tcp') tcpClose(each.socket)
    else udpClose(each.socket)
    return false
  })
}

/** The unspecified address of a family. */
export const unspecified = { 4: anyIpv4, 6: anyIpv6 } as const
