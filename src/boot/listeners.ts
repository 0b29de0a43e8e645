// `listen tcp 80`: sockets that wait in a namespace from the start. `echo` sends back what arrives, `discard` reads and
// forgets; without a word the steps of the scenario speak for the program.
import { assert } from '../base/assert.ts'
import type { Namespace } from '../kernel/namespace.ts'
import { failed } from '../kernel/socket/errno.ts'
import { serveTcp, serveUdp } from '../kernel/socket/program.ts'
import { tcpBind, tcpListen, tcpOpen } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import { udpBind, udpOpen } from '../kernel/socket/udp.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import type { ListenModel } from '../model/model.ts'
import { anyIpv4, anyIpv6, isIpv4 } from '../net/address.ts'

/** A waiting socket and what its program does with what arrives. */
export type Listener =
  | { readonly kind: 'tcp'; readonly socket: TcpSocket; readonly app: ListenModel['app'] }
  | { readonly kind: 'udp'; readonly socket: UdpSocket; readonly app: ListenModel['app'] }

/** Opens a socket; without an address it takes both families. */
export function startListener(
  ns: Namespace,
  listen: Pick<ListenModel, 'protocol' | 'port' | 'address' | 'app'>,
): Listener {
  const family = listen.address !== undefined && isIpv4(listen.address) ? 4 : 6
  const address = listen.address ?? anyIpv6
  const open = { ns, family, label: `${ns.name}-${listen.protocol}-${listen.port}` } as const
  if (listen.protocol === 'udp') {
    const socket = udpOpen(open)
    assert(!failed(socket), 'a socket can be opened')
    const bound = udpBind(socket.ok, { address, port: listen.port })
    assert(!failed(bound), `${ns.name} can listen on udp ${listen.port}: ${failed(bound) ? bound.errno : ''}`)
    if (listen.app === 'echo') serveUdp(socket.ok, ({ data }) => data)
    if (listen.app === 'discard') serveUdp(socket.ok, () => undefined)
    return { kind: 'udp', socket: socket.ok, app: listen.app }
  }
  const socket = tcpOpen(open)
  assert(!failed(socket), 'a socket can be opened')
  const bound = tcpBind(socket.ok, { address, port: listen.port })
  assert(!failed(bound), `${ns.name} can listen on tcp ${listen.port}: ${failed(bound) ? bound.errno : ''}`)
  assert(!failed(tcpListen(socket.ok)), `${ns.name} listens on tcp ${listen.port}`)
  if (listen.app === 'echo') serveTcp(socket.ok, { received: (_, data) => data })
  if (listen.app === 'discard') serveTcp(socket.ok, { received: () => undefined })
  return { kind: 'tcp', socket: socket.ok, app: listen.app }
}

/** The unspecified address of a family. */
export const unspecified = { 4: anyIpv4, 6: anyIpv6 } as const
