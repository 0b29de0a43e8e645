// What cilium-envoy knows of a connection that it accepted, and where requests of it go. bpf_metadata.cc of cilium/proxy

import { HttpStream } from '../../app/http-stream.ts'
import type { SocketAddress } from '../../kernel/socket/hooks.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import { formatIp } from '../../net/address.ts'
import { identityMark, mark } from '../datapath/mark.ts'
import { conntrackIdentity, endpointAt, identityAt, type ProxyNode } from './proxy-node.ts'
import type { UpstreamTarget } from './upstream.ts'

/** A listener of the agent's own: `cilium-http-ingress`. */
export interface EnvoyListener {
  readonly port: number
  readonly ingress: boolean
}

/** Config::extractSocketMetadata(): what is known of a connection when it is accepted. */
export interface Connection {
  readonly socket: TcpSocket
  readonly stream: HttpStream
  readonly client: SocketAddress
  /** Where the client wanted to. */
  readonly server: SocketAddress
  readonly sourceIdentity: number
  /** 0 on ingress. */
  readonly destinationIdentity: number
  /** Requests of this connection so far. */
  requests: number
  /** One request at a time. */
  waiting: { readonly abandon: () => void } | undefined
}

/** A connection just accepted: its source is the one that conntrack remembers, else the one that the ipcache knows. */
export function acceptConnection(node: ProxyNode, { ingress }: EnvoyListener, socket: TcpSocket): Connection {
  const client = { address: socket.remoteAddress, port: socket.remotePort }
  const server = { address: socket.localAddress, port: socket.localPort }
  const tracked = conntrackIdentity(node, client, server, ingress)
  return {
    socket,
    stream: new HttpStream(),
    client,
    server,
    sourceIdentity: tracked === 0 ? identityAt(node, client.address) : tracked,
    destinationIdentity: ingress ? 0 : identityAt(node, server.address),
    requests: 0,
    waiting: undefined,
  }
}

/** Where a request goes: to the original destination, from the client's own address where that is allowed. */
export function upstreamTarget(
  node: ProxyNode,
  { ingress }: EnvoyListener,
  { client, server, sourceIdentity, destinationIdentity, socket }: Connection,
  cause: string,
): UpstreamTarget {
  const { dialect, agent } = node
  const magic = ingress ? mark.PROXY_INGRESS : mark.PROXY_EGRESS
  const local = endpointAt(node, server.address) !== undefined
  const keeps = !ingress && dialect.keepsSource(agent().node.config, { local, destinationIdentity })
  const own = keeps ? `${formatIp(client.address)} ${client.port}` : `${sourceIdentity}`
  return {
    to: server,
    from: keeps ? client : undefined,
    transparent: keeps || dialect.alwaysTransparent,
    mark: identityMark(sourceIdentity, magic),
    key: `${formatIp(server.address)} ${server.port} ${own}`,
    label: `${socket.label}.upstream`,
    cause,
  }
}
