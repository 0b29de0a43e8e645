// The way up: driver, XDP, skb, taps, tc ingress, VLAN, bridge or macvlan, protocol. What enters is a frame on a device;
// what leaves goes to a protocol handler (`machine.protocols`) or ends with an outcome.
//
//   ring -> irq -> napi -> native XDP -> skb -> generic XDP -> taps -> tc -> vlan -> rx_handler -> ip, arp, ip6
import { etherType, isVlanType } from '../net/protocol.ts'
import type { Decision, Stage } from '../trace/event.ts'
import { countReceived } from './counters.ts'
import type { NetDevice } from './device/device.ts'
import { vlanKey } from './device/vlan.ts'
import { takeTag } from './device/vlan-tag.ts'
import { drop, hopLimitReached } from './drop.ts'
import { ethTypeTrans, pktTypeOn } from './eth-type.ts'
import { deliverToMute } from './mute.ts'
import { pktType, type Skb } from './skb.ts'
import { runIngress } from './tc/run.ts'
import { runGenericXdp, runXdp } from './xdp-run.ts'

function noteFull(dev: NetDevice, skb: Skb, stage: Stage, decision?: Decision): void {
  const { trace } = dev.ns.machine
  if (!trace?.full) return
  const what = decision === undefined ? { actor: 'kernel' } : { actor: 'kernel', decision }
  trace.note(skb, { node: dev.ns.name, device: dev.name, stage }, what)
}

/** What a card and its driver do before anybody sees the packet, and after (facts: linux 11). */
const cardSteps = {
  ring: { code: 'DMA', target: 'rx ring' },
  interrupt: { code: 'IRQ', target: 'masked, NET_RX raised' },
  poll: { code: 'POLL', target: 'budget 64' },
  build: { code: 'SKB' },
  complete: { code: 'COMPLETE', target: 'IRQ on' },
} as const satisfies Record<string, Decision>

/**
 * A frame lies on a device; `skb.data` stands at its MAC header. A card shows its ring, interrupt and poll; a veth or
 * lo runs from the backlog (facts: linux 11). Frames may be injected here: this is where the wire ends.
 */
export function receive(dev: NetDevice, skb: Skb): void {
  if (!throughDriver(dev, skb)) return
  netifReceive(skb)
  const { trace } = dev.ns.machine
  if (dev.kind === 'phys' && trace?.full) {
    trace.aside(skb, { node: dev.ns.name, device: dev.name, stage: 'napi' }, cardSteps.complete)
  }
}

/** What the driver does with a frame: native XDP, and the sk_buff. False when the frame went no further. */
export function throughDriver(dev: NetDevice, skb: Skb): boolean {
  if (!dev.up) {
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'rx', reason: 'SKB_DROP_REASON_DEV_READY' })
    return false
  }
  ethTypeTrans(skb, dev)
  const card = dev.kind === 'phys'
  countReceived(dev, skb.length)
  const { trace } = dev.ns.machine
  trace?.note(skb, { node: dev.ns.name, device: dev.name, stage: 'rx' })
  if (card) {
    noteFull(dev, skb, 'nic', cardSteps.ring)
    noteFull(dev, skb, 'irq', cardSteps.interrupt)
    noteFull(dev, skb, 'napi', cardSteps.poll)
  }
  if (dev.xdp !== undefined && dev.xdp.mode !== 'generic') {
    if (hopLimitReached(skb, dev, 'xdp')) return false
    const { pktType: before, fromXdp } = skb
    skb.fromXdp = false
    if (runXdp(dev, dev.xdp, skb) === 'gone') return false
    ethTypeTrans(skb, dev)
    // veth_xdp_rcv_skb(): eth_type_trans() never says again that a frame is for this host
    const kept = dev.kind === 'veth' && !fromXdp && skb.pktType === pktType.host
    if (kept) skb.pktType = before
  }
  if (card) noteFull(dev, skb, 'alloc', cardSteps.build)
  return true
}

/** Packets in a row for one protocol of one device. */
class Row {
  private readonly skbs: Skb[] = []
  private dev: NetDevice | undefined

  add(dev: NetDevice, skb: Skb): void {
    if (dev !== this.dev || skb.protocol !== this.skbs[0]?.protocol) this.handOver()
    this.dev = dev
    this.skbs.push(skb)
  }

  /** __netif_receive_skb_list_ptype() */
  handOver(): void {
    const { dev, skbs } = this
    const protocol = skbs[0]?.protocol
    if (dev === undefined || protocol === undefined) return
    const { protocols, listProtocols } = dev.ns.machine
    const row = skbs.splice(0)
    const whole = listProtocols.get(protocol)
    if (whole !== undefined) whole(row)
    else for (const skb of row) protocols.get(protocol)?.(skb)
  }
}

/** __netif_receive_skb_core(): `skb.dev` and the Ethernet fields are set, `data` stands at the MAC header. */
export function netifReceive(skb: Skb, row?: Row): void {
  do {
    if (hopLimitReached(skb, skb.dev, 'rx')) return
  } while (receiveOnce(skb, row) === 'again')
}

/** __netif_receive_skb_list_core(): taps and tc see all packets of a poll before a protocol takes those that are its own. */
export function netifReceiveList(skbs: readonly Skb[]): void {
  const row = new Row()
  for (const skb of skbs) netifReceive(skb, row)
  row.handOver()
}

/** One round for one device; `again` when a vlan, macvlan or redirect_peer has moved the packet to another one. */
function receiveOnce(skb: Skb, row: Row | undefined): 'done' | 'again' {
  const { dev } = skb
  skb.ingressIfindex = dev.ifindex
  // netif_receive_generic_xdp(): what tc has redirected is not for it
  if (dev.xdp?.mode === 'generic' && !skb.redirected && runGenericXdp(dev, dev.xdp, skb) === 'gone')
    return 'done'
  if (isVlanType(skb.protocol) && !takeTag(skb)) return tooShort(dev, skb)
  showTaps(dev, skb)
  if (dev.tcIngress !== undefined) {
    const verdict = runIngress(dev, dev.tcIngress, skb)
    if (verdict === 'again') return 'again'
    if (verdict !== 'pass') return 'done'
  }
  skb.redirected = false
  return pastTc(dev, skb, row)
}

function tooShort(dev: NetDevice, skb: Skb): 'done' {
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'rx', reason: 'SKB_DROP_REASON_PKT_TOO_SMALL' })
  return 'done'
}

/** packet_rcv(): a host's own multicast that comes back (PACKET_LOOPBACK) is shown to no tap. */
function showTaps(dev: NetDevice, skb: Skb): void {
  if (dev.taps.length === 0 || skb.pktType === pktType.loopback) return
  for (const tap of dev.taps) tap(dev, skb, 'in')
  noteFull(dev, skb, 'tap-in')
}

/** What follows tc ingress: VLAN devices, then the device's master, then the protocols. */
function pastTc(dev: NetDevice, skb: Skb, row: Row | undefined): 'done' | 'again' {
  if (skb.vlanTci >= 0) {
    const vlan = dev.vlans?.get(vlanKey(skb.vlanProtocol, skb.vlanTci & 0xfff))
    if (vlan?.up) return ontoVlan(vlan, skb)
  }
  if (dev.rxHandler !== undefined) {
    const answer = dev.rxHandler(dev, skb)
    if (answer === 'another') return 'again'
    if (answer === 'consumed') return 'done'
  }
  if (skb.vlanTci >= 0 && (skb.vlanTci & 0xfff) !== 0) return unknownVlan(dev, skb)
  skb.vlanTci = -1
  toProtocol(dev, skb, row)
  return 'done'
}

/** vlan_do_receive(): the tag is used up; a frame for the VLAN device's own address is for this host. */
function ontoVlan(vlan: NetDevice, skb: Skb): 'again' {
  skb.dev = vlan
  skb.vlanTci = -1
  if (skb.pktType === pktType.otherHost) skb.pktType = pktTypeOn(skb, vlan)
  countReceived(vlan, skb.length)
  return 'again'
}

/** A tag that nobody here knows makes the frame somebody else's: no protocol takes it (facts: linux 15). */
function unknownVlan(dev: NetDevice, skb: Skb): 'done' {
  skb.pktType = pktType.otherHost
  if (!dev.ns.machine.protocols.has(skb.protocol)) dev.counters.rx_dropped += 1
  drop(skb, { node: dev.ns.name, device: dev.name, stage: 'rx', reason: 'VLAN_UNKNOWN_SCN' })
  return 'done'
}

/** deliver_skb() to the handler of the ethertype; without one the device counts a drop. */
function toProtocol(dev: NetDevice, skb: Skb, row: Row | undefined): void {
  if (dev.ns.mute && skb.protocol !== etherType.arp && deliverToMute(dev, skb)) return
  const handler = dev.ns.machine.protocols.get(skb.protocol)
  if (handler === undefined) {
    dev.counters.rx_dropped += 1
    drop(skb, { node: dev.ns.name, device: dev.name, stage: 'rx', reason: 'SKB_DROP_REASON_UNHANDLED_PROTO' })
    return
  }
  skb.pullMac()
  skb.metaBytes = 0
  // struct inet_skb_parm and inet6_skb_parm lie over the first four words (tried on 6.18, which has no Mobile IPv6)
  skb.cb.fill(0, 0, 4)
  if (row === undefined) handler(skb)
  else row.add(dev, skb)
}
