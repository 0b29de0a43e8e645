// Runs the programs of one tc hook and applies the verdict (net/core/dev.c sch_handle_ingress, sch_handle_egress,
// tcx_run, tc_run; net/sched/cls_bpf.c). What each return code means is in facts/linux section 1.

import { netkitCode } from '../../bpf/codes.ts'
import type { KernelServices, Redirect, RunContext, RunFault } from '../../bpf/contract.ts'
import { runProgram } from '../../bpf/run.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import type { Recorder, Site } from '../../trace/recorder.ts'
import type { NetDevice } from '../device/device.ts'
import { endPacket } from '../drop.ts'
import { redirectText } from '../redirect-text.ts'
import type { Skb } from '../skb.ts'
import { runActions } from './action.ts'
import { type TcDirection, type TcHook, type TcProgram, tcAct, tcActName } from './hook.ts'

/** What the programs of one hook share: as on a CPU, a redirect asked for stays until somebody consumes it. */
class TcContext implements RunContext {
  readonly type = 'sched_cls'
  readonly kernel: KernelServices
  readonly trace: Recorder | undefined
  readonly skb: Skb
  readonly direction: TcDirection
  redirect: Redirect = { kind: 'none' }
  retval = 0
  tailCalls = 0
  fault: RunFault | undefined = undefined
  /** Where the trace puts a program of netkit; undefined at the hooks of tc. */
  readonly site: Site | undefined

  constructor(dev: NetDevice, skb: Skb, direction: TcDirection, site?: Site) {
    this.kernel = dev.ns.machine.wiring.services(dev, skb)
    this.trace = dev.ns.machine.trace
    this.skb = skb
    this.direction = direction
    this.site = site
  }
}

const sites = { ingress: 'tc-in', egress: 'tc-out' } as const
const dropReasons = { ingress: 'SKB_DROP_REASON_TC_INGRESS', egress: 'SKB_DROP_REASON_TC_EGRESS' } as const

/** SHOT, or a program that broke its contract. */
function reasonOf(context: TcContext): KernelDropReason {
  return context.fault === undefined ? dropReasons[context.direction] : 'PROGRAM_FAULT_SCN'
}

/** Runs one program and writes its event. A verdict that ends the packet as a drop is part of that event. */
function runOne(dev: NetDevice, entry: TcProgram, context: TcContext): number {
  context.tailCalls = 0
  const { trace, skb } = context
  if (trace === undefined) return runProgram(entry.program, context)
  const site: Site = context.site ?? { node: dev.ns.name, device: dev.name, stage: sites[context.direction] }
  trace.begin(skb, site, entry.program.name)
  const code = runProgram(entry.program, context)
  if (!entry.directAction) {
    trace.end(skb, { code: code === 0 ? 'NOMATCH' : 'MATCH', value: code })
    return code
  }
  if (code === tcAct.shot) {
    const reason = context.site === undefined ? reasonOf(context) : netkitReason(context)
    trace.fact({ kind: 'drop', reason })
  }
  const name = context.site === undefined ? tcActName(code) : (netkitNames.get(code) ?? String(code))
  const decision = { code: name, value: code }
  const target = code === tcAct.redirect ? redirectText(dev.ns, context.redirect) : ''
  trace.end(skb, target === '' ? decision : { ...decision, target })
  return code
}

/** enum netkit_action */
const netkitNames: ReadonlyMap<number, string> = new Map(
  Object.entries(netkitCode).map(([name, code]) => [code, name.replace('NETKIT_', '')]),
)

/**
 * netkit_run(): every code but NEXT ends the list, and what is no code drops. `peer` is the end that would receive, whose
 * view programs have: `skb.dev` is it already.
 */
export function runNetkit(
  peer: NetDevice,
  programs: readonly TcProgram[],
  skb: Skb,
  site: Site & { readonly device: string },
): TcVerdict {
  const context = new TcContext(peer, skb, 'egress', site)
  let code: number = netkitCode.NETKIT_NEXT
  for (const entry of programs) {
    code = runOne(peer, entry, context)
    if (code !== netkitCode.NETKIT_NEXT) break
  }
  switch (code) {
    case netkitCode.NETKIT_NEXT:
    case netkitCode.NETKIT_PASS:
      return 'pass'
    case netkitCode.NETKIT_REDIRECT:
      return peer.ns.machine.wiring.redirect(skb, context.redirect, 'egress', site)
    default:
      endPacket(skb, { ...site, kind: 'dropped', reason: netkitReason(context) })
      return 'dropped'
  }
}

function netkitReason({ fault }: TcContext): KernelDropReason {
  return fault === undefined ? 'SKB_DROP_REASON_NOT_SPECIFIED' : 'PROGRAM_FAULT_SCN'
}

/** tcx_run(): every code but -1 ends the list; codes that tcx does not know count as "no verdict". */
function runTcx(dev: NetDevice, programs: readonly TcProgram[], context: TcContext): number {
  for (const entry of programs) {
    const code = runOne(dev, entry, context)
    if (code === tcAct.unspec) continue
    const known = code === tcAct.ok || code === tcAct.shot || code === tcAct.redirect
    return known ? code : tcAct.unspec
  }
  return tcAct.unspec
}

/** cls_bpf_exec_opcode(): what direct action knows; everything else goes on with the next filter. */
function isVerdict(code: number): boolean {
  return (
    code === tcAct.ok ||
    code === tcAct.shot ||
    code === tcAct.stolen ||
    code === tcAct.trap ||
    code === tcAct.redirect
  )
}

/** tc_run(): the filters of clsact in order. */
function runFilters(dev: NetDevice, hook: TcHook, context: TcContext): number {
  const { skb } = context
  for (const entry of hook.filters) {
    // tc sees the tag's ethertype while a tag stands beside the packet (skb_protocol).
    const protocol = skb.vlanTci >= 0 ? skb.vlanProtocol : skb.protocol
    if (entry.protocol !== 'all' && entry.protocol !== protocol) continue
    const code = runOne(dev, entry, context)
    if (entry.directAction) {
      if (!isVerdict(code)) continue
      if (code === tcAct.ok) skb.tcIndex = skb.tcClassid & 0xffff
      if (code === tcAct.shot) hook.drops += 1
      return code
    }
    if (code === 0) continue
    const verdict = runActions(dev, entry, skb, context.direction)
    if (verdict === tcAct.ok) skb.tcIndex = (code === -1 ? entry.classid : code) & 0xffff
    if (verdict === tcAct.shot) hook.drops += 1
    return verdict
  }
  return tcAct.unspec
}

function classify(dev: NetDevice, hook: TcHook, context: TcContext): number {
  const verdict = runTcx(dev, hook.tcx, context)
  return verdict === tcAct.unspec ? runFilters(dev, hook, context) : verdict
}

/** What became of the packet: it goes on, it was dropped, it is somebody else's now, or it is received again. */
export type TcVerdict = 'pass' | 'dropped' | 'gone' | 'again'

function apply(dev: NetDevice, hook: TcHook, skb: Skb, direction: TcDirection): TcVerdict {
  const context = new TcContext(dev, skb, direction)
  const code = classify(dev, hook, context)
  const end = { node: dev.ns.name, device: dev.name, stage: sites[direction] }
  switch (code) {
    case tcAct.shot:
      endPacket(skb, { ...end, kind: 'dropped', reason: reasonOf(context) })
      return 'dropped'
    case tcAct.stolen:
    case tcAct.queued:
    case tcAct.trap:
      endPacket(skb, { ...end, kind: 'consumed' })
      return 'gone'
    case tcAct.redirect:
      return dev.ns.machine.wiring.redirect(skb, context.redirect, direction)
    case tcAct.consumed:
      return 'gone'
    default:
      return 'pass'
  }
}

/** sch_handle_ingress(): `again` asks the receive path to start over on `skb.dev` (bpf_redirect_peer). */
export function runIngress(dev: NetDevice, hook: TcHook, skb: Skb): TcVerdict {
  return apply(dev, hook, skb, 'ingress')
}

/** sch_handle_egress(): `dropped` is an error for the sender, `gone` is not. */
export function runEgress(dev: NetDevice, hook: TcHook, skb: Skb): TcVerdict {
  return apply(dev, hook, skb, 'egress')
}
