// struct bpf_sock_addr over bytes: the context of cgroup connect, sendmsg, recvmsg, bind, getpeername, getsockname.
// Addresses and ports lie in network byte order; the numbers here are host numbers of them.
import { type Ipv4, type Ipv6, readIpv6, writeIpv6 } from '../../net/address.ts'
import type { RunContext } from '../contract.ts'
import { fault } from '../fault.ts'

/** Offsets in struct bpf_sock_addr. */
export const sockAddrAt = {
  user_family: 0,
  user_ip4: 4,
  user_ip6: 8,
  user_port: 24,
  family: 28,
  type: 32,
  protocol: 36,
  msg_src_ip4: 40,
  msg_src_ip6: 44,
  sk: 64,
} as const

/** struct bpf_sock_addr for TypeScript programs. */
export class SockAddrContext {
  private readonly view: DataView

  constructor(context: RunContext) {
    this.view = context.sock ?? fault(`a program of type ${context.type} has no bpf_sock_addr here`)
  }

  get user_family(): number {
    return this.view.getUint32(sockAddrAt.user_family, true)
  }

  get user_ip4(): Ipv4 {
    return this.view.getUint32(sockAddrAt.user_ip4) as Ipv4
  }

  set user_ip4(address: Ipv4) {
    this.view.setUint32(sockAddrAt.user_ip4, address)
  }

  get user_ip6(): Ipv6 {
    return readIpv6(this.bytes, sockAddrAt.user_ip6)
  }

  set user_ip6(address: Ipv6) {
    writeIpv6(this.bytes, sockAddrAt.user_ip6, address)
  }

  /** The port as a host number; the field holds it in network byte order in its first two bytes. */
  get user_port(): number {
    return this.view.getUint16(sockAddrAt.user_port)
  }

  set user_port(port: number) {
    this.view.setUint16(sockAddrAt.user_port, port)
  }

  get family(): number {
    return this.view.getUint32(sockAddrAt.family, true)
  }

  /** SOCK_STREAM 1, SOCK_DGRAM 2. */
  get type(): number {
    return this.view.getUint32(sockAddrAt.type, true)
  }

  get protocol(): number {
    return this.view.getUint32(sockAddrAt.protocol, true)
  }

  get msg_src_ip4(): Ipv4 {
    return this.view.getUint32(sockAddrAt.msg_src_ip4) as Ipv4
  }

  set msg_src_ip4(address: Ipv4) {
    this.view.setUint32(sockAddrAt.msg_src_ip4, address)
  }

  private get bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset, this.view.byteLength)
  }
}
