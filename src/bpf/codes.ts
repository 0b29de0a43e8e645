// Return codes by name and number, and which of them mean something for which type of program.
// Numbers: include/uapi/linux/bpf.h (enum xdp_action, enum tcx_action_base), include/uapi/linux/pkt_cls.h (TC_ACT_*).
import type { ProgramType } from './contract.ts'

export const xdpCode = {
  XDP_ABORTED: 0,
  XDP_DROP: 1,
  XDP_PASS: 2,
  XDP_TX: 3,
  XDP_REDIRECT: 4,
} as const

export const tcCode = {
  TC_ACT_UNSPEC: -1,
  TC_ACT_OK: 0,
  TC_ACT_RECLASSIFY: 1,
  TC_ACT_SHOT: 2,
  TC_ACT_PIPE: 3,
  TC_ACT_STOLEN: 4,
  TC_ACT_QUEUED: 5,
  TC_ACT_REPEAT: 6,
  TC_ACT_REDIRECT: 7,
  TC_ACT_TRAP: 8,
} as const

export const tcxCode = {
  TCX_NEXT: -1,
  TCX_PASS: 0,
  TCX_DROP: 2,
  TCX_REDIRECT: 7,
} as const

export const netkitCode = {
  NETKIT_NEXT: -1,
  NETKIT_PASS: 0,
  NETKIT_DROP: 2,
  NETKIT_REDIRECT: 7,
} as const

/** cgroup hooks say yes or no; the names are ours, the kernel has numbers only. */
export const cgroupCode = { DENY: 0, ALLOW: 1 } as const

/** At egress, with a congestion notification. */
const congestionCode = { DENY_CN: 2, ALLOW_CN: 3 } as const

const socketFilterCode = { DROP: 0 } as const

/** sk_lookup: enum sk_action. */
const skCode = { SK_DROP: 0, SK_PASS: 1 } as const

type CodeTable = Readonly<Record<string, number>>

/** Codes that may stand in a program of this type; a tc program may use the names of tcx and netkit, they are equal numbers. */
const tables: Readonly<Record<ProgramType, readonly CodeTable[]>> = {
  xdp: [xdpCode],
  sched_cls: [tcCode, tcxCode, netkitCode],
  cgroup_skb: [cgroupCode, congestionCode],
  cgroup_sock: [cgroupCode],
  cgroup_sock_addr: [cgroupCode],
  sock_ops: [cgroupCode],
  socket_filter: [socketFilterCode],
  sk_lookup: [skCode],
}

/** The number of a name; undefined when a program of this type has no such code. */
export function codeNumber(type: ProgramType, name: string): number | undefined {
  for (const table of tables[type]) if (Object.hasOwn(table, name)) return table[name]
  return undefined
}

/**
 * The code of a program that faulted: it stops the packet at every hook. Only the hook's treatment counts
 * (PROGRAM_FAULT_SCN); the number is what the kernel would use for "no".
 */
export function faultCode(type: ProgramType): number {
  return type === 'sched_cls' ? tcCode.TC_ACT_SHOT : 0
}
