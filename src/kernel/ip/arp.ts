// ARP messages that arrive: net/ipv4/arp.c arp_rcv() and arp_process(). Who is answered, for which addresses, and what is
// learned on the way. Facts: linux 6.2 to 6.6 and 15.
import { type Ipv4, isIpv4 } from '../../net/address.ts'
import { type ArpHeader, arpOperation, decodeArp } from '../../net/arp.ts'
import { isMalformed } from '../../net/malformed.ts'
import { millisecond } from '../clock.ts'
import { count } from '../counters.ts'
import type { NetDevice } from '../device/device.ts'
import { deliverOutcome, drop, endPacket } from '../drop.ts'
import { updateNeighbour } from '../neighbour.ts'
import { findNeighbour, neighbourOf } from '../neighbour-entry.ts'
import type { Neighbour } from '../neighbour-table.ts'
import { pktType, type Skb } from '../skb.ts'
import { sendArp } from './arp-send.ts'
import { type InputAnswer, routeInput } from './input-route.ts'
import { routeOutput } from './output-route.ts'
import { type Route, routeScope } from './route.ts'
import { addressesOf, addressType, isOnLink, ownAddresses, plainFlow } from './source.ts'

/** Jiffies of user space (USER_HZ): the unit of proxy_delay and locktime. */
const userTick = 10 * millisecond
const loopbackNetwork = 127

/** What became of a message, for the trace. */
type Fate = 'answered' | 'learned' | 'ignored'

function reply(dev: NetDevice, arp: ArpHeader, cause: Skb): void {
  sendArp(dev, {
    operation: arpOperation.reply,
    senderIp: arp.targetIp,
    targetMac: arp.senderMac,
    targetIp: arp.senderIp,
    destination: arp.senderMac,
    cause,
  })
}

/** arp_ignore(): whether a request for an own address is left unanswered. */
function ignores(dev: NetDevice, sender: Ipv4, target: Ipv4): boolean {
  const onDevice = (): boolean => addressesOf(dev, 4).some((own) => own.address === target)
  switch (dev.ns.sysctls.max('net.ipv4.conf.DEV.arp_ignore', dev.name)) {
    case 1:
      return !onDevice()
    case 2:
      return !onDevice() || (sender !== 0 && !isOnLink(dev, target, sender))
    case 3:
      return !ownAddresses(dev.ns, target).some((own) => own.scope <= routeScope.link)
    case 8:
      return true
    default:
      return false
  }
}

/** arp_filter(): only the device by which the sender would be answered at IP may answer. */
function filtered(dev: NetDevice, sender: Ipv4, target: Ipv4): boolean {
  if (!dev.ns.sysctls.either('net.ipv4.conf.DEV.arp_filter', dev.name)) return false
  const answer = routeOutput(dev.ns, { ...plainFlow(sender), source: target })
  if (answer.kind === 'error') return true
  if (answer.route.device === dev) return false
  count(dev.ns, 'TcpExtArpFilter')
  return true
}

/** neigh_event_ns(): whoever asks is known from then on, as STALE. */
function learnAsker(dev: NetDevice, arp: ArpHeader): Neighbour {
  const neighbour = neighbourOf(dev, arp.senderIp)
  updateNeighbour(neighbour, { state: 'STALE', mac: arp.senderMac, override: true })
  return neighbour
}

/** Whether this router answers for a target behind another device (proxy_arp, proxy_arp_pvlan, `neigh add proxy`). */
function proxies(dev: NetDevice, route: Route, arp: ArpHeader): boolean {
  const { sysctls } = dev.ns
  if (route.device === dev) {
    const pvlan = sysctls.device('net.ipv4.conf.DEV.proxy_arp_pvlan', dev.name) !== 0
    return pvlan && arp.senderIp !== arp.targetIp
  }
  if (sysctls.either('net.ipv4.conf.DEV.proxy_arp', dev.name)) return true
  const { proxies: list } = dev.ns.ip.v4.neighbours
  return list.get(arp.targetIp, dev.ifindex) !== undefined || list.get(arp.targetIp, 0) !== undefined
}

/**
 * proxy_delay: a time between 0 and the setting, drawn from the seed and the two addresses. 0 answers at once, as does a
 * request that was sent to this host only.
 */
function replyAsProxy(dev: NetDevice, arp: ArpHeader, skb: Skb): void {
  const setting = dev.ns.sysctls.device('net.ipv4.neigh.DEV.proxy_delay', dev.name)
  if (setting === 0 || skb.pktType === pktType.host) {
    reply(dev, arp, skb)
    return
  }
  const { machine } = dev.ns
  const chance = machine.random('proxy_delay', arp.senderIp * 0x10_0000 + (arp.targetIp & 0xf_ffff))
  const delay = Math.floor((chance / 0x1_0000_0000) * setting * userTick)
  machine.clock.after(delay, () => reply(dev, arp, skb))
}

function answerLocal(dev: NetDevice, arp: ArpHeader, skb: Skb): Fate {
  if (ignores(dev, arp.senderIp, arp.targetIp) || filtered(dev, arp.senderIp, arp.targetIp)) return 'ignored'
  learnAsker(dev, arp)
  reply(dev, arp, skb)
  return 'answered'
}

/** How the target of a request would be reached by a packet from the sender. */
function routeToTarget(dev: NetDevice, arp: ArpHeader): InputAnswer {
  return routeInput(dev, {
    source: arp.senderIp,
    destination: arp.targetIp,
    tos: 0,
    mark: 0,
    protocol: 0,
    sport: 0,
    dport: 0,
    isIp: false,
  })
}

/** A request that finds an answer here: undefined when the tables are to be updated instead. */
function answerRequest(dev: NetDevice, arp: ArpHeader, skb: Skb): Fate | undefined {
  const found = routeToTarget(dev, arp)
  if (found.kind === 'drop') return undefined
  if (found.route.type === 'local') return answerLocal(dev, arp, skb)
  const forwards = dev.ns.sysctls.device('net.ipv4.conf.DEV.forwarding', dev.name) !== 0
  if (!forwards || found.route.type !== 'unicast' || !proxies(dev, found.route, arp)) return undefined
  learnAsker(dev, arp)
  replyAsProxy(dev, arp, skb)
  return 'answered'
}

/**
 * arp_is_garp(): somebody announces its own address. A reply counts only with its own MAC address as target; others are
 * ordinary replies, which the lock time holds back (both seen on 6.18).
 */
function isGratuitous(dev: NetDevice, arp: ArpHeader): boolean {
  if (arp.targetIp !== arp.senderIp) return false
  if (arp.operation === arpOperation.reply && arp.targetMac !== arp.senderMac) return false
  return addressType(dev.ns, arp.senderIp) === 'unicast'
}

/** arp_accept(): 1 makes entries from gratuitous messages, 2 only for senders in a subnet of the device. */
function acceptsUnknown(dev: NetDevice, arp: ArpHeader): boolean {
  const accept = dev.ns.sysctls.max('net.ipv4.conf.DEV.arp_accept', dev.name)
  if (accept === 2) return isOnLink(dev, arp.senderIp, arp.senderIp)
  return accept === 1
}

/** The entry to update, if there is one or one may be made. */
function entryFor(dev: NetDevice, arp: ArpHeader, gratuitous: boolean): Neighbour | undefined {
  const found = findNeighbour(dev, arp.senderIp)
  if (found !== undefined || !acceptsUnknown(dev, arp)) return found
  const unicastReply = arp.operation === arpOperation.reply && addressType(dev.ns, arp.senderIp) === 'unicast'
  return gratuitous || unicastReply ? neighbourOf(dev, arp.senderIp) : undefined
}

/** Replies make their sender reachable; broadcast replies and requests only tell its address. */
function updateTables(dev: NetDevice, arp: ArpHeader, skb: Skb): Fate {
  const gratuitous = isGratuitous(dev, arp)
  const entry = entryFor(dev, arp, gratuitous)
  if (entry === undefined) return 'ignored'
  const locktime = dev.ns.sysctls.device('net.ipv4.neigh.DEV.locktime', dev.name) * userTick
  const override = gratuitous || dev.ns.machine.clock.now > entry.updated + locktime
  const asserted = arp.operation === arpOperation.reply && skb.pktType === pktType.host
  updateNeighbour(entry, { state: asserted ? 'REACHABLE' : 'STALE', mac: arp.senderMac, override })
  return 'learned'
}

/** arp_process(). */
function processArp(dev: NetDevice, arp: ArpHeader, skb: Skb): Fate {
  const { operation, senderIp, targetIp } = arp
  if (operation !== arpOperation.request && operation !== arpOperation.reply) return 'ignored'
  const localnet = dev.ns.sysctls.either('net.ipv4.conf.DEV.route_localnet', dev.name)
  if (targetIp >>> 28 === 14 || (!localnet && targetIp >>> 24 === loopbackNetwork)) return 'ignored'
  if (senderIp === 0) {
    const own = operation === arpOperation.request && addressType(dev.ns, targetIp) === 'local'
    if (!own || ignores(dev, senderIp, targetIp)) return 'ignored'
    reply(dev, arp, skb)
    return 'answered'
  }
  const answered = operation === arpOperation.request ? answerRequest(dev, arp, skb) : undefined
  return answered ?? updateTables(dev, arp, skb)
}

/** The handler of ethertype 0x0806; `skb.data` stands at the ARP message. */
export function arpReceive(skb: Skb): void {
  const { dev } = skb
  const at = { node: dev.ns.name, device: dev.name, stage: 'rx' } as const
  if (!dev.arp || skb.pktType === pktType.otherHost) {
    drop(skb, { ...at, reason: 'SKB_DROP_REASON_OTHERHOST' })
    return
  }
  const arp = decodeArp(skb.bytes, skb.data, skb.tail)
  if (isMalformed(arp)) {
    drop(skb, { ...at, reason: 'SKB_DROP_REASON_PKT_TOO_SMALL' })
    return
  }
  const fate = processArp(dev, arp, skb)
  if (fate === 'ignored') endPacket(skb, { ...at, kind: 'consumed' })
  else deliverOutcome(skb, { ...at, actor: 'kernel', target: 'arp' })
}

/** Gratuitous ARP of arp_notify=1: announces every address of a device that came up. */
export function announceAddresses(dev: NetDevice): void {
  if (dev.ns.sysctls.max('net.ipv4.conf.DEV.arp_notify', dev.name) === 0) return
  for (const own of addressesOf(dev, 4)) {
    if (!isIpv4(own.address)) continue
    sendArp(dev, {
      operation: arpOperation.request,
      senderIp: own.address,
      targetMac: 0,
      targetIp: own.address,
      destination: 0xffff_ffff_ffff,
      cause: undefined,
    })
  }
}
