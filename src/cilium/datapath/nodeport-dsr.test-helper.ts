// A node that serves by DSR, packets to it and the sums of what it sends, for tests.
import { tcContext, xdpContext } from '../../bpf/test-support/contexts.ts'
import { readU16 } from '../../net/bytes.ts'
import { foldSum, sumWords } from '../../net/checksum.ts'
import { bytesToHex } from '../../net/hex.ts'
import { bpfHost } from '../host/bpf-host.ts'
import { serviceFlag } from '../maps/service.ts'
import { putIpcache, putService } from '../test-support/entries.ts'
import {
  addressBytes,
  type DatapathLab,
  datapathLab,
  frame,
  routeTo,
  usualDefines,
} from '../test-support/lab.ts'
import { bpfXdp } from '../xdp/bpf-xdp.ts'
import type { NodeValues } from './config.ts'
import type { Define } from './defines.ts'

export const flags = serviceFlag.NODEPORT | serviceFlag.ROUTABLE
export const client = '203.0.113.7'
export const node = '10.0.10.1'
export const pod = '10.244.2.20'
export const there = '10.0.10.2'
export const client6 = '2001:db8::7'
export const node6 = 'fd01::1'
export const pod6 = 'fd00:2::20'
export const XDP_DROP = 1
export const XDP_PASS = 2
export const XDP_TX = 3
export const TC_ACT_SHOT = 2
export const TC_ACT_REDIRECT = 7
export const SYN = 2
export const ACK = 16

export function lab(
  kind: 'bpf_host' | 'bpf_xdp',
  values: Partial<NodeValues> = {},
  ...defines: readonly Define[]
): DatapathLab {
  const on = datapathLab({
    defines: [
      ...usualDefines,
      'SERVICE_NO_BACKEND_RESPONSE',
      'ENABLE_NODEPORT_ACCELERATION',
      'HAVE_ENCAP',
      'ENABLE_DSR',
      ...defines,
    ],
    values: {
      ENCAP_IFINDEX: 13,
      IPV4_DIRECT_ROUTING: addressBytes(node),
      IPV6_DIRECT_ROUTING: addressBytes(node6),
      ...values,
    },
    object: { kind, interface_ifindex: 2, security_label: kind === 'bpf_host' ? 1 : 0, endpoint_id: 0 },
  })
  const backend = (address: string, id: number) => [{ id, address, port: 8080 }]
  putService(on.maps, { address: node, port: 30_080, revNatIndex: 4, flags, backends: backend(pod, 1) })
  putService(on.maps, { address: node6, port: 30_080, revNatIndex: 6, flags, backends: backend(pod6, 2) })
  putService(on.maps, { address: node, port: 30_081, revNatIndex: 5, flags, backends: [] })
  putService(on.maps, { address: node6, port: 30_081, revNatIndex: 7, flags, backends: [] })
  putIpcache(on.maps, pod, { identity: 6001, tunnel: there })
  putIpcache(on.maps, pod6, { identity: 6001, tunnel: there })
  return on
}

function toService(from: string, to: string, tcpFlags: number, payload: number, port: number): Uint8Array {
  const tcp = { kind: 'tcp', source: 40_001, destination: port, flags: tcpFlags } as const
  return frame(from, to, tcp, { kind: 'payload', bytes: new Uint8Array(payload) })
}

export const packet = (tcpFlags = SYN, payload = 0, port = 30_080): Uint8Array =>
  toService(client, node, tcpFlags, payload, port)
export const packet6 = (tcpFlags = SYN, payload = 0, port = 30_080): Uint8Array =>
  toService(client6, node6, tcpFlags, payload, port)

export const sameDevice = routeTo({ ifindex: 2 })
export const xdp = (on: DatapathLab, bytes: Uint8Array) =>
  on.runObject(bpfXdp(on.node), 'cil_xdp_entry', xdpContext(bytes, sameDevice))
export const tc = (on: DatapathLab, bytes: Uint8Array) =>
  on.runObject(bpfHost(on.node), 'cil_from_netdev', tcContext(bytes, routeTo({ ifindex: 3 })))

export const text = (bytes: Uint8Array, from: number, length: number): string =>
  bytesToHex(bytes.subarray(from, from + length))
export const at4 = (bytes: Uint8Array, from: number): string => [...bytes.subarray(from, from + 4)].join('.')
/** The sum over all words, carries added in: 0xffff where a checksum is right. */
export const sum = (bytes: Uint8Array): number => foldSum(sumWords(bytes, 0, bytes.length))
export const ipSum = (bytes: Uint8Array, from = 14): number =>
  sum(bytes.subarray(from, from + ((bytes[from] as number) & 0xf) * 4))
/** The sum of an ICMPv6 message with its pseudo header. */
export const icmp6Sum = (bytes: Uint8Array): number => {
  const length = readU16(bytes, 18)
  const pseudo = Uint8Array.of(0, 0, length >> 8, length & 0xff, 0, 0, 0, 58)
  return sum(Uint8Array.from([...bytes.subarray(22, 54), ...pseudo, ...bytes.subarray(54, 54 + length)]))
}
