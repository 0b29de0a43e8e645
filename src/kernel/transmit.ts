// dev_queue_xmit(): tc egress, the queue, the taps, the driver. What enters is a frame with its device; what leaves is
// a number for the sender.
import { readU16 } from '../net/bytes.ts'
import { etherType } from '../net/protocol.ts'
import {
  type NetDevice,
  transmitCongested,
  transmitDown,
  transmitDropped,
  transmitted,
} from './device/device.ts'
import { insertTag } from './device/vlan-tag.ts'
import { drop, endPacket, hopLimitReached } from './drop.ts'
import { carriesLarge, segmentAt } from './gso.ts'
import { tooManyTransmissions } from './recursion.ts'
import { pktType, type Skb } from './skb.ts'
import { attachQdisc, type Qdisc, throughQdisc } from './tc/qdisc.ts'
import { runEgress } from './tc/run.ts'
import { finishSums } from './unfinished.ts'

/** After this long without carrier the link watcher has stopped the queues (facts: linux 15). */
export const linkWatchNanoseconds = 1_000_000_000

/**
 * __dev_queue_xmit(): sends `skb` out of `skb.dev`; `skb.data` stands at the MAC header. Answers 0 when it was sent or
 * silently lost, NET_XMIT_DROP (1) or NET_XMIT_CN (2), or a negative errno.
 */
export function queueTransmit(skb: Skb): number {
  const { clock } = skb.dev.ns.machine
  clock.disableBottomHalves()
  const result = throughEgress(skb)
  clock.enableBottomHalves()
  return result
}

/** tc egress, and the queue behind it. */
function throughEgress(skb: Skb): number {
  const { dev } = skb
  if (hopLimitReached(skb, dev, 'tc-out')) return transmitted
  skb.macHeader = dev.headerBytes > 0 ? skb.data : -1
  if (dev.tcEgress !== undefined) {
    const verdict = runEgress(dev, dev.tcEgress, skb)
    if (verdict === 'dropped') return transmitDropped
    if (verdict === 'gone') return transmitted
  }
  return enqueue(dev, skb)
}

/** The queue: a discipline that was attached, or none; a card's own is always empty. */
function enqueue(dev: NetDevice, skb: Skb): number {
  const { machine } = dev.ns
  if (!dev.up || (!dev.carrier && machine.clock.now - dev.carrierChanged >= linkWatchNanoseconds)) {
    // noop_enqueue(): a device that is down has no other queue, nor one whose lost carrier the link watcher has noticed
    dev.counters.tx_dropped += 1
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'qdisc', reason: 'SKB_DROP_REASON_QDISC_DROP' })
    return transmitCongested
  }
  if (dev.qdisc !== undefined) return throughQdisc(dev, dev.qdisc, skb)
  if (tooManyTransmissions(machine)) return recursionEnd(dev, skb)
  if (machine.trace?.full)
    machine.trace.note(skb, { node: dev.ns.name, device: dev.name, stage: 'qdisc' }, { actor: 'kernel' })
  machine.transmitDepth += 1
  const result = startTransmit(dev, skb)
  machine.transmitDepth -= 1
  return result
}

/** `tc qdisc replace dev DEV root ...` */
export function setQdisc(dev: NetDevice, discipline: Qdisc): void {
  attachQdisc(dev, discipline, startTransmit)
}

/** validate_xmit_skb_list(): what is too large for the device goes to it in segments. Answers what became of the last. */
function startTransmit(dev: NetDevice, skb: Skb): number {
  if (skb.gsoSize === 0 || carriesLarge(dev)) return startOne(dev, skb)
  let result = transmitted
  for (const piece of segmentAt(dev, skb, 'gso')) result = startOne(dev, piece)
  return result
}

/** validate_xmit_vlan(): devices without NETIF_F_HW_VLAN_CTAG_TX get the tag inside the frame. */
const insertsTags: ReadonlySet<NetDevice['kind']> = new Set(['vxlan', 'geneve', 'dummy', 'netkit', 'vlan'])

/** dev_hard_start_xmit(): the taps, then the driver. */
function startOne(dev: NetDevice, skb: Skb): number {
  const { trace } = dev.ns.machine
  finishSums(dev, skb)
  if (skb.vlanTci >= 0 && insertsTags.has(dev.kind)) insertTag(skb)
  if (dev.taps.length > 0) {
    const kept = skb.pktType
    skb.pktType = pktType.outgoing
    for (const tap of dev.taps) tap(dev, skb, 'out')
    skb.pktType = kept
    if (trace?.full) trace.note(skb, { node: dev.ns.name, device: dev.name, stage: 'tap-out' })
  }
  // a tunnel says what it did at the stage xmit
  if (!dev.tunnel) trace?.note(skb, { node: dev.ns.name, device: dev.name, stage: 'tx' })
  return dev.ops.transmit(dev, skb)
}

function recursionEnd(dev: NetDevice, skb: Skb): number {
  drop(skb, {
    node: dev.ns.name,
    device: dev.name,
    stage: 'qdisc',
    reason: 'SKB_DROP_REASON_RECURSION_LIMIT',
  })
  return transmitDown
}

/** generic_xdp_tx(): a frame sent by generic XDP; no tc egress, no taps, no netfilter. */
export function transmitWithoutHooks(dev: NetDevice, skb: Skb): void {
  skb.dev = dev
  skb.data = skb.macHeader
  if (hopLimitReached(skb, dev, 'tx')) return
  dev.ns.machine.trace?.note(skb, { node: dev.ns.name, device: dev.name, stage: 'tx' })
  dev.ops.transmit(dev, skb)
}

const ethernetHeaderBytes = 14
const vlanTagBytes = 4
const invalid = -22
const messageTooLong = -90

/** packet_snd() of net/packet/af_packet.c: what an AF_PACKET socket refuses before anything sees the frame. */
function frameRefusal(skb: Skb): number {
  const { dev } = skb
  if (!dev.up) return transmitDown
  if (skb.length < ethernetHeaderBytes) return invalid
  const most = dev.mtu + ethernetHeaderBytes
  if (skb.length <= most) return transmitted
  const tagged = readU16(skb.bytes, skb.data + 12) === etherType.vlan
  return tagged && skb.length <= most + vlanTagBytes ? transmitted : messageTooLong
}

/** packet_parse_headers(): the protocol is what the Ethernet header says. */
function readHeaders(skb: Skb): void {
  skb.macHeader = skb.data
  skb.networkHeader = skb.data + ethernetHeaderBytes
  skb.protocol = readU16(skb.bytes, skb.data + 12)
}

/**
 * Sends a frame from an AF_PACKET socket. Answers like `queueTransmit`; refused at once: -100 (ENETDOWN) on a device that
 * is down, -22 (EINVAL) for less than an Ethernet header, -90 (EMSGSIZE) for more than the MTU and the header (and one
 * VLAN tag).
 */
export function sendFrame(skb: Skb): number {
  const refused = frameRefusal(skb)
  if (refused === transmitted) {
    readHeaders(skb)
    return queueTransmit(skb)
  }
  const reason =
    refused === transmitDown
      ? 'SKB_DROP_REASON_DEV_READY'
      : refused === invalid
        ? 'SKB_DROP_REASON_PKT_TOO_SMALL'
        : 'SKB_DROP_REASON_PKT_TOO_BIG'
  endPacket(skb, { device: skb.dev.name, stage: 'tx', kind: 'dropped', reason })
  return refused
}
