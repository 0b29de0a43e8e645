// BPF programs of a cgroup that see packets: egress behind POSTROUTING, ingress when a socket is about to take one. The
// sockets of a namespace are in one cgroup. kernel/bpf/cgroup.c __cgroup_bpf_run_filter_skb(), bpf_prog_run_array_cg();
// include/linux/bpf-cgroup.h BPF_CGROUP_RUN_PROG_INET_EGRESS.
import type { KernelServices, Program, Redirect, RunContext, RunFault } from '../../bpf/contract.ts'
import { runProgram } from '../../bpf/run.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import type { Recorder } from '../../trace/recorder.ts'
import { type AdminResult, adminDone, refused } from '../device/change.ts'
import { transmitCongested, transmitDropped, transmitted } from '../device/device.ts'
import { endPacket } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { Skb } from '../skb.ts'
import { errnoNumber } from './errno.ts'
import { type Socket, socketState } from './socket.ts'

export type CgroupDirection = 'ingress' | 'egress'

/** The programs of one cgroup, in the order in which they run: its own as they were attached, then its parent's. */
export type CgroupSkbHooks = Readonly<Record<CgroupDirection, Program[]>>

/** Attaches a program behind those that are there (BPF_F_ALLOW_MULTI); EINVAL for another type of program. */
export function attachCgroupSkb(ns: Namespace, direction: CgroupDirection, program: Program): AdminResult {
  if (program.type !== 'cgroup_skb') return refused('EINVAL')
  ns.sockets.skbHooks ??= { ingress: [], egress: [] }
  ns.sockets.skbHooks[direction].push(program)
  return adminDone
}

class CgroupContext implements RunContext {
  readonly type = 'cgroup_skb'
  readonly kernel: KernelServices
  readonly trace: Recorder | undefined
  readonly skb: Skb
  readonly direction: CgroupDirection
  redirect: Redirect = { kind: 'none' }
  retval = 0
  tailCalls = 0
  fault: RunFault | undefined = undefined

  constructor(ns: Namespace, skb: Skb, direction: CgroupDirection) {
    this.kernel = ns.machine.wiring.services(skb.dev, skb)
    this.trace = ns.machine.trace
    this.skb = skb
    this.direction = direction
  }
}

/** Bit 0 keeps the packet; bit 1, at egress, asks for a congestion notification. */
const codeBit = { keep: 1, congested: 2 } as const
const codeNames = ['DENY', 'ALLOW', 'DENY_CN', 'ALLOW_CN'] as const

const dropReasons = {
  ingress: 'SKB_DROP_REASON_SOCKET_FILTER',
  egress: 'SKB_DROP_REASON_BPF_CGROUP_EGRESS',
} as const satisfies Record<CgroupDirection, KernelDropReason>

/** One program: the packet begins at its IP header for as long as it runs. */
function runOne(ns: Namespace, program: Program, context: CgroupContext): number {
  const { trace, skb, direction } = context
  trace?.begin(skb, { node: ns.name, device: '', stage: 'cgroup', chain: direction }, program.name)
  const { macHeader, data } = skb
  skb.macHeader = -1
  skb.data = skb.networkHeader
  const code = runProgram(program, context)
  skb.macHeader = macHeader
  skb.data = data
  if ((code & codeBit.keep) === 0) {
    const reason = context.fault === undefined ? dropReasons[direction] : 'PROGRAM_FAULT_SCN'
    trace?.fact({ kind: 'drop', reason })
  }
  trace?.end(skb, { code: codeNames[code] ?? String(code), value: code })
  return code
}

/** All of them run, even behind one that denied; the bits of congestion add up. */
function runAll(ns: Namespace, programs: readonly Program[], skb: Skb, direction: CgroupDirection): number {
  const context = new CgroupContext(ns, skb, direction)
  let keep: number = codeBit.keep
  let congested = 0
  for (const program of programs) {
    const code = runOne(ns, program, context)
    keep &= code
    congested |= code & codeBit.congested
  }
  return (keep & codeBit.keep) | congested
}

function ended(ns: Namespace, skb: Skb, direction: CgroupDirection): void {
  const site = { node: ns.name, device: '', stage: 'cgroup' } as const
  endPacket(skb, { ...site, kind: 'dropped', reason: dropReasons[direction] })
}

/**
 * A packet that a socket of this host sends, behind POSTROUTING. Answers 0 or NET_XMIT_CN (2) when it goes on; -EPERM, or
 * NET_XMIT_DROP (1) with a notification, when it does not. What the host forwards or sends by itself is not asked about.
 */
export function runCgroupEgress(skb: Skb): number {
  const hooks = skb.sk?.ns.sockets.skbHooks
  if (skb.sk === undefined || hooks === undefined || hooks.egress.length === 0) return transmitted
  const { ns, state } = skb.sk
  if (state === socketState.timeWait) return transmitted
  const code = runAll(ns, hooks.egress, skb, 'egress')
  const congested = (code & codeBit.congested) !== 0
  if ((code & codeBit.keep) !== 0) return congested ? transmitCongested : transmitted
  ended(ns, skb, 'egress')
  return congested ? transmitDropped : -errnoNumber.EPERM
}

/** sk_filter(): whether a socket may have the packet; one that may not has its end written. `skb.data` may stand anywhere. */
export function mayReceive(socket: Socket, skb: Skb): boolean {
  const hooks = socket.ns.sockets.skbHooks
  if (hooks === undefined || hooks.ingress.length === 0) return true
  if ((runAll(socket.ns, hooks.ingress, skb, 'ingress') & codeBit.keep) !== 0) return true
  ended(socket.ns, skb, 'ingress')
  return false
}
