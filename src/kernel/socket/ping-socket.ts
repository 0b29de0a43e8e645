// A socket for echo requests: its identifier is its local port.
import type { IpAddress } from '../../net/address.ts'
import type { BaseSocket } from './base.ts'
import type { Socket } from './socket.ts'

/** One reply. */
export interface EchoReply {
  readonly source: IpAddress
  readonly sequence: number
  readonly data: Uint8Array
  /** TTL or hop limit with which it arrived. */
  readonly hops: number
}

export interface PingSocket extends BaseSocket {
  readonly kind: 'ping'
  readonly replies: EchoReply[]
  identification: number
}

/** Whether a socket in the echo table is one of these: they all are. */
export function asPing(socket: Socket): PingSocket {
  return socket as PingSocket
}
