// A netkit pair (drivers/net/netkit.c): programs decide what becomes of a packet while one end transmits it, in the view of
// the other end. Both ends are managed from the primary device. [D]: the kernel of the facts has no netkit.
import type { Program } from '../../bpf/contract.ts'
import { countSent } from '../counters.ts'
import { drop } from '../drop.ts'
import { pktTypeOn } from '../eth-type.ts'
import type { Namespace } from '../namespace.ts'
import { receive } from '../receive.ts'
import type { Skb } from '../skb.ts'
import { attachMulti, detachFrom, type MultiPosition, replaceIn } from '../tc/attach.ts'
import type { TcProgram } from '../tc/hook.ts'
import { runNetkit } from '../tc/run.ts'
import { type AdminResult, refused } from './change.ts'
import { createDevice, type DeviceOptions } from './create.ts'
import { clearTstamp, scrub } from './crossing.ts'
import { type DeviceOps, type NetDevice, transmitDropped, transmitted } from './device.ts'
import { pairChanged } from './pair.ts'

export type NetkitMode = 'l2' | 'l3'

/** What an end does with packets that it sends while no program is attached to it. */
export type NetkitPolicy = 'forward' | 'blackhole'

/** Whether mark and priority go when a packet leaves the namespace. */
export type NetkitScrub = 'default' | 'none'

/** What one end is made with. */
export interface NetkitEnd {
  readonly policy?: NetkitPolicy
  readonly scrub?: NetkitScrub
}

interface NetkitState {
  readonly mode: NetkitMode
  readonly primary: boolean
  readonly policy: NetkitPolicy
  readonly scrub: NetkitScrub
  /** nk->active: the programs that run when this end transmits. */
  readonly programs: TcProgram[]
}

const ethernetBytes = 14
/** NETKIT_SCRUB_* came with 6.13. Before, a packet always lost its priority, and its mark on the way to another namespace. */
const scrubSince = 6013

function stateOf(dev: NetDevice): NetkitState {
  return dev.private as NetkitState
}

/** The mode, and whether this end is the primary one, as `ip -d link` says it. */
export function netkitDetail(dev: NetDevice): Omit<NetkitState, 'programs'> {
  return stateOf(dev)
}

/** The programs of an end, for `bpftool net show`. */
export function netkitPrograms(dev: NetDevice): readonly TcProgram[] {
  return stateOf(dev).programs
}

/** netkit_prep_forward() */
function prepareForward(dev: NetDevice, peer: NetDevice, skb: Skb): void {
  const isOld = dev.ns.kernelVersion < scrubSince
  scrub(skb)
  if (isOld) skb.priority = 0
  if (dev.ns === peer.ns) return
  skb.ipvs = false
  clearTstamp(skb)
  if (!isOld && stateOf(dev).scrub === 'none') return
  skb.priority = 0
  skb.mark = 0
}

function lost(
  dev: NetDevice,
  skb: Skb,
  reason: 'SKB_DROP_REASON_DEV_READY' | 'SKB_DROP_REASON_NOT_SPECIFIED',
): number {
  dev.counters.tx_dropped += 1
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'tx', reason })
  return transmitDropped
}

/** netkit_xmit(): a redirect leaves at once, without the other end's receive path; what passes goes by the backlog. */
function transmit(dev: NetDevice, skb: Skb): number {
  const { peer } = dev
  if (peer === undefined || !peer.up) return lost(dev, skb, 'SKB_DROP_REASON_DEV_READY')
  const bytes = skb.length
  if (bytes < ethernetBytes) return lost(dev, skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
  const { programs, policy, primary } = stateOf(dev)
  prepareForward(dev, peer, skb)
  skb.macHeader = skb.data
  skb.networkHeader = skb.data + ethernetBytes
  skb.pktType = pktTypeOn(skb, peer)
  skb.dev = peer
  if (programs.length === 0) {
    if (policy === 'blackhole') return lost(dev, skb, 'SKB_DROP_REASON_NOT_SPECIFIED')
  } else {
    const hook = primary ? dev : peer
    const site = {
      node: hook.ns.name,
      device: hook.name,
      stage: primary ? 'netkit-primary' : 'netkit-peer',
    } as const
    const verdict = runNetkit(peer, programs, skb, site)
    if (verdict === 'dropped') {
      dev.counters.tx_dropped += 1
      return transmitDropped
    }
    if (verdict === 'gone') {
      countSent(dev, bytes)
      return transmitted
    }
  }
  countSent(dev, bytes)
  dev.ns.machine.clock.soon(() => receive(peer, skb))
  return transmitted
}

const ops: DeviceOps = { transmit, changed: pairChanged }

function createEnd(
  end: DeviceOptions & NetkitEnd & { readonly ns: Namespace },
  mode: NetkitMode,
  primary: boolean,
): NetDevice {
  const { ns, name, mac, mtu, policy = 'forward', scrub: how = 'default' } = end
  const state: NetkitState = { mode, primary, policy, scrub: how, programs: [] }
  return createDevice(ns, {
    name,
    mac: mode === 'l3' ? 0 : mac,
    mtu,
    kind: 'netkit',
    ops,
    carrier: false,
    arp: mode === 'l2',
    private: state,
  })
}

/** `ip link add DEV type netkit mode MODE ... peer ...`: both ends, down. In mode l3 they have no addresses and no ARP. */
export function addNetkitPair(
  primary: DeviceOptions & NetkitEnd & { readonly ns: Namespace; readonly mode: NetkitMode },
  peer: DeviceOptions & NetkitEnd & { readonly ns: Namespace },
): readonly [NetDevice, NetDevice] {
  const dev = createEnd(primary, primary.mode, true)
  const other = createEnd(peer, primary.mode, false)
  dev.peer = other
  other.peer = dev
  return [dev, other]
}

/**
 * BPF_NETKIT_PRIMARY, BPF_NETKIT_PEER: a program for what the primary device, or its peer, transmits. ENXIO: not a netkit
 * device; EACCES: not the primary one; otherwise as attachTc of a tcx program.
 */
export function attachNetkit(
  dev: NetDevice,
  which: 'primary' | 'peer',
  options: { readonly program: Program } & MultiPosition,
): AdminResult {
  if (dev.kind !== 'netkit') return refused('ENXIO')
  if (!stateOf(dev).primary) return refused('EACCES')
  if (options.program.type !== 'sched_cls') return refused('EINVAL')
  const end = which === 'primary' ? dev : dev.peer
  return end === undefined ? refused('ENODEV') : attachMulti(stateOf(end).programs, options)
}

function hookOf(dev: NetDevice, which: 'primary' | 'peer'): TcProgram[][] {
  const end = which === 'primary' ? dev : dev.peer
  return end?.kind === 'netkit' ? [stateOf(end).programs] : []
}

/** BPF_LINK_UPDATE of a program at a netkit hook; `dev` is the primary device. ENOENT when it is not there. */
export function replaceNetkit(
  dev: NetDevice,
  which: 'primary' | 'peer',
  old: Program,
  program: Program,
): AdminResult {
  return replaceIn(hookOf(dev, which), old, program)
}

/** The end of the link of a program at a netkit hook. ENOENT when it is not there. */
export function detachNetkit(dev: NetDevice, which: 'primary' | 'peer', program: Program): AdminResult {
  return detachFrom(hookOf(dev, which), program)
}
