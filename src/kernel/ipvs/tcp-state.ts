// The states of connections through IPVS and how long each is kept: net/netfilter/ipvs/ip_vs_proto_tcp.c (tcp_states,
// tcp_timeouts, tcp_state_active_table) and ip_vs_proto_udp.c (udp_timeouts).
import { readU8 } from '../../net/bytes.ts'
import { second } from '../clock.ts'

/** enum IP_VS_TCP_S_*. */
export const ipvsState = {
  none: 0,
  established: 1,
  synSent: 2,
  synRecv: 3,
  finWait: 4,
  timeWait: 5,
  close: 6,
  closeWait: 7,
  lastAck: 8,
  listen: 9,
  synAck: 10,
} as const

/** The names of `ipvsadm -Lnc`. */
export const ipvsStateNames = [
  'NONE',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'SYNACK',
] as const

/** Seconds that a connection is kept in each state. */
const tcpTimeouts = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120] as const

/** udp_timeouts[IP_VS_UDP_S_NORMAL]. */
export const udpTimeout = 300 * second

/** From the client, from the server, and from a client whose answers do not pass here. */
export type IpvsDirection = 'input' | 'output' | 'input-only'

const { none: NO, established: ES, synSent: SS, synRecv: SR, finWait: FW, timeWait: TW } = ipvsState
const { close: CL, closeWait: CW, lastAck: LA, listen: LI, synAck: SA } = ipvsState

/** The next state, by what the segment is (SYN, FIN, ACK, RST) and the state now. */
const transitions: Readonly<Record<IpvsDirection, readonly (readonly number[])[]>> = {
  input: [
    [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
    [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
    [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
  ],
  output: [
    [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
    [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
    [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
    [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
  ],
  'input-only': [
    [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
    [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
    [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
  ],
}

const active: ReadonlySet<number> = new Set([ES, SS, SR, SA])

/** Whether connections in this state are `ActiveConn`. */
export function isActive(state: number): boolean {
  return active.has(state)
}

/** Nanoseconds that a TCP connection is kept in this state. */
export function tcpTimeout(state: number): number {
  return (tcpTimeouts[state] ?? 2) * second
}

/** tcp_state_idx(): which row of the table a segment chooses; -1 for none. */
function rowOf(flags: number): number {
  if ((flags & 0x04) !== 0) return 3
  if ((flags & 0x02) !== 0) return 0
  if ((flags & 0x01) !== 0) return 1
  return (flags & 0x10) !== 0 ? 2 : -1
}

/** set_tcp_state(): the state after the segment whose TCP header stands at `l4`. */
export function nextTcpState(
  bytes: Uint8Array,
  l4: number,
  connection: { readonly state: number; readonly direction: IpvsDirection },
): number {
  const row = transitions[connection.direction][rowOf(readU8(bytes, l4 + 13))]
  return row?.[connection.state] ?? (row === undefined ? CL : NO)
}
