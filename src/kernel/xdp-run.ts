// Runs the XDP program of a device on a frame and does what its code says. Counters as `ethtool -S` of veth prints them
// (drivers/net/veth.c veth_xdp_rcv_one); the generic way is net/core/dev.c do_xdp_generic. Facts: linux section 2.
import type { KernelServices, Redirect, RunContext, RunFault, XdpBuff } from '../bpf/contract.ts'
import { runProgram } from '../bpf/run.ts'
import { readU16 } from '../net/bytes.ts'
import { isMulticastMac, readMac } from '../net/mac.ts'
import type { KernelDropReason } from '../trace/drop-reason.ts'
import type { Recorder } from '../trace/recorder.ts'
import { countDriver } from './counters.ts'
import { leaveNamespace } from './device/crossing.ts'
import type { NetDevice } from './device/device.ts'
import { drop, endPacket } from './drop.ts'
import { ethTypeTrans } from './eth-type.ts'
import { redirectText } from './redirect-text.ts'
import type { Skb } from './skb.ts'
import { transmitWithoutHooks } from './transmit.ts'
import { type XdpAttachment, xdpAct, xdpActName } from './xdp.ts'
import { XdpFrame } from './xdp-frame.ts'

class XdpContext implements RunContext {
  readonly type = 'xdp'
  readonly kernel: KernelServices
  readonly trace: Recorder | undefined
  readonly xdp: XdpBuff
  readonly direction = 'none'
  redirect: Redirect = { kind: 'none' }
  retval = 0
  tailCalls = 0
  fault: RunFault | undefined = undefined

  constructor(dev: NetDevice, skb: Skb, frame: XdpFrame) {
    this.kernel = dev.ns.machine.wiring.services(dev, skb)
    this.trace = dev.ns.machine.trace
    this.xdp = frame
  }
}

/** Whether the packet goes up the stack. */
export type XdpVerdict = 'pass' | 'gone'

interface Run {
  readonly dev: NetDevice
  readonly skb: Skb
  readonly native: boolean
}

function reasonOf(code: number, context: XdpContext): KernelDropReason {
  if (context.fault !== undefined) return 'PROGRAM_FAULT_SCN'
  return code === xdpAct.drop ? 'XDP_DROP' : 'XDP_ABORTED'
}

/** Runs the program inside its event; a drop, and the exception it fires, are facts of that event. */
function runAttached(run: Run, attachment: XdpAttachment, frame: XdpFrame, context: XdpContext): number {
  const { dev } = run
  const { program } = attachment
  const { trace } = context
  if (trace === undefined) return runProgram(program, context) >>> 0
  trace.begin(frame, { node: dev.ns.name, device: dev.name, stage: 'xdp' }, program.name)
  const code = runProgram(program, context) >>> 0
  if (code > xdpAct.redirect || code === xdpAct.aborted)
    trace.fact({ kind: 'tracepoint', name: 'xdp_exception' })
  if (code > xdpAct.redirect || code <= xdpAct.drop)
    trace.fact({ kind: 'drop', reason: reasonOf(code, context) })
  const decision = { code: xdpActName(code), value: code }
  const target = code === xdpAct.redirect ? redirectText(dev.ns, context.redirect) : ''
  trace.end(frame, target === '' ? decision : { ...decision, target })
  return code
}

/** Runs the program of `dev` on the frame in `skb`, whose `data` stands at the MAC header. */
export function runXdp(dev: NetDevice, attachment: XdpAttachment, skb: Skb): XdpVerdict {
  const native = attachment.mode !== 'generic'
  const place = native ? (dev.kind === 'veth' ? 'veth' : 'page') : 'skb'
  const frame = new XdpFrame(skb, { mode: attachment.mode, place })
  const context = new XdpContext(dev, skb, frame)
  const run: Run = { dev, skb, native }
  const code = runAttached(run, attachment, frame, context)
  frame.intoSkb()
  if (native) countDriver(dev, 'rx_queue_0_xdp_packets')
  switch (code) {
    case xdpAct.pass:
      return 'pass'
    case xdpAct.tx:
      sendBack(run)
      return 'gone'
    case xdpAct.redirect:
      redirectFrame(run, context.redirect)
      return 'gone'
    default:
      if (native) countDriver(dev, 'rx_queue_0_xdp_drops')
      endPacket(skb, {
        node: dev.ns.name,
        device: dev.name,
        stage: 'xdp',
        kind: 'dropped',
        reason: reasonOf(code, context),
      })
      return 'gone'
  }
}

/** A frame that leaves the driver has no skb: what an skb would carry is gone. */
function bareFrame(skb: Skb): void {
  leaveNamespace(skb)
  skb.sk = undefined
  skb.cb.fill(0)
  skb.hash = 0
  skb.unfinishedSum = 0
  skb.vlanTci = -1
}

/** XDP_TX: out of the device it came in on. */
function sendBack(run: Run): void {
  const { dev, skb, native } = run
  skb.metaBytes = 0
  if (!native) {
    transmitWithoutHooks(dev, skb)
    return
  }
  bareFrame(skb)
  if (transmitNative(dev, skb)) {
    countDriver(dev, 'rx_queue_0_xdp_tx')
    return
  }
  countDriver(dev, 'rx_queue_0_xdp_tx_errors')
  drop(skb, {
    node: dev.ns.name,
    device: dev.name,
    stage: 'xdp',
    reason: 'XDP_TX_FAILED_SCN',
    // veth sends in bulk after the program has returned: too late for the exception (veth_xdp_flush_bq).
    facts: dev.kind === 'veth' ? [] : [{ kind: 'tracepoint', name: 'xdp_exception' }],
  })
}

/** ndo_xdp_xmit of the device, with its own line in the trace when it takes the frame. */
function transmitNative(dev: NetDevice, skb: Skb): boolean {
  const { xdpTransmit } = dev.ops
  if (xdpTransmit === undefined || !dev.up) return false
  const { trace } = dev.ns.machine
  if (trace !== undefined && dev.ops.xdpTarget?.(dev) !== false)
    trace.note(skb, { node: dev.ns.name, device: dev.name, stage: 'tx' })
  return xdpTransmit(dev, skb)
}

/** Room that xdp_ok_fwd_dev() allows above the MTU: Ethernet header and one VLAN tag. */
const frameSlack = 14 + 4

/** xdp_ok_fwd_dev(), and for native mode NETDEV_XDP_ACT_NDO_XMIT. */
function mayLeaveBy(target: NetDevice, run: Run): boolean {
  if (!target.up || run.skb.length > target.mtu + frameSlack) return false
  return !run.native || target.ops.xdpTarget?.(target) === true
}

/** XDP_REDIRECT: xdp_do_redirect(), xdp_do_generic_redirect(). */
function redirectFrame(run: Run, to: Redirect): void {
  const { dev, skb } = run
  if (to.kind === 'map' && to.broadcast !== undefined) {
    broadcast(run, to.broadcast)
    return
  }
  const target = to.kind === 'device' || to.kind === 'map' ? dev.ns.devices.get(to.ifindex) : undefined
  if (target === undefined || !mayLeaveBy(target, run)) {
    redirectFailed(run)
    return
  }
  if (run.native) countDriver(dev, 'rx_queue_0_xdp_redirect')
  leaveBy(target, skb, run.native)
}

function leaveBy(target: NetDevice, skb: Skb, native: boolean): void {
  skb.metaBytes = 0
  if (!native) {
    transmitWithoutHooks(target, skb)
    return
  }
  bareFrame(skb)
  if (!transmitNative(target, skb))
    drop(skb, {
      node: target.ns.name,
      device: target.name,
      stage: 'xdp',
      reason: 'XDP_REDIRECT_FAILED_SCN',
    })
}

/** BPF_F_BROADCAST: a copy to every device of the map that can take it. */
function broadcast(run: Run, ifindexes: readonly number[]): void {
  const targets: NetDevice[] = []
  for (const ifindex of ifindexes) {
    const target = run.dev.ns.devices.get(ifindex)
    if (target !== undefined && mayLeaveBy(target, run)) targets.push(target)
  }
  const last = targets.pop()
  if (last === undefined) {
    redirectFailed(run)
    return
  }
  if (run.native) countDriver(run.dev, 'rx_queue_0_xdp_redirect')
  for (const target of targets) leaveBy(target, run.skb.clone(), run.native)
  leaveBy(last, run.skb, run.native)
}

/** Native counts the loss on the receiving device, generic counts nothing. */
function redirectFailed(run: Run): void {
  const { dev, skb } = run
  if (run.native) {
    dev.counters.rx_dropped += 1
    countDriver(dev, 'rx_queue_0_drops')
  }
  drop(skb, {
    node: dev.ns.name,
    device: dev.name,
    stage: 'xdp',
    reason: 'XDP_REDIRECT_FAILED_SCN',
    facts: [{ kind: 'tracepoint', name: 'xdp_redirect_err' }],
  })
}

/** What bpf_prog_run_generic_xdp() remembers of the Ethernet header: type, whether for this device, whether multicast. */
function headerSeen(dev: NetDevice, skb: Skb): number {
  const destination = readMac(skb.bytes, skb.data)
  const own = destination === dev.mac ? 1 << 16 : 0
  const multicast = isMulticastMac(destination) ? 1 << 17 : 0
  return readU16(skb.bytes, skb.data + 12) | own | multicast
}

/**
 * do_xdp_generic(): after the skb is built. The Ethernet header is read again only when the program has changed it, so
 * a packet_type that somebody chose before (bpf_redirect_peer) stays.
 */
export function runGenericXdp(dev: NetDevice, attachment: XdpAttachment, skb: Skb): XdpVerdict {
  const before = headerSeen(dev, skb)
  // a host's own copy of a group's packet has no Ethernet header: the program sees it from its IP header on
  const headless = skb.macHeader < 0
  const verdict = runXdp(dev, attachment, skb)
  if (verdict === 'gone') return verdict
  if (headless && headerSeen(dev, skb) === before) {
    skb.macHeader = -1
    skb.networkHeader = skb.data
    return verdict
  }
  const { pktType } = skb
  ethTypeTrans(skb, dev)
  if (headerSeen(dev, skb) === before) skb.pktType = pktType
  return verdict
}
