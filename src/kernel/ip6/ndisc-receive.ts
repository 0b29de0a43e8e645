// Neighbour discovery messages that arrive: who is answered, what is learned. net/ipv6/ndisc.c ndisc_rcv(),
// ndisc_recv_ns(), ndisc_recv_na(). Before changing this file, read RFC 4861 section 7.
import { allNodes, type Ipv6, isMulticast, isUnspecified, readIpv6 } from '../../net/address.ts'
import { readU8 } from '../../net/bytes.ts'
import { icmpv6At } from '../../net/icmpv6.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Mac } from '../../net/mac.ts'
import { isMalformed } from '../../net/malformed.ts'
import { decodeNd, type NdMessage } from '../../net/nd.ts'
import type { NdOption } from '../../net/nd-options.ts'
import type { KernelDropReason } from '../../trace/drop-reason.ts'
import { millisecond } from '../clock.ts'
import type { NetDevice } from '../device/device.ts'
import { deliverOutcome, drop } from '../drop.ts'
import { isProxied } from '../ip/admin-neighbour.ts'
import { updateNeighbour } from '../neighbour.ts'
import { findNeighbour, neighbourOf } from '../neighbour-entry.ts'
import { pktType, type Skb } from '../skb.ts'
import { sendAdvertisement } from './ndisc-send.ts'
import { isOwnIpv6 } from './source.ts'

/** USER_HZ: the unit of proxy_delay. */
const userTick = 10 * millisecond

type Solicitation = Extract<NdMessage, { readonly kind: 'neighbour-solicitation' }>
type Advertisement = Extract<NdMessage, { readonly kind: 'neighbour-advertisement' }>

/** What became of a message: taken, or dropped for a reason. */
type Fate = 'taken' | KernelDropReason

function linkOption(options: readonly NdOption[], kind: 'source-link' | 'target-link'): Mac | undefined {
  for (const option of options) if (option.kind === kind) return option.mac
  return undefined
}

function forwardsOn(dev: NetDevice): boolean {
  return dev.ns.sysctls.device('net.ipv6.conf.DEV.forwarding', dev.name) !== 0
}

/** Whether this router answers for an address behind it: proxy_ndp alone is not enough, the address must be listed. */
function proxies(dev: NetDevice, target: Ipv6): boolean {
  const template = 'net.ipv6.conf.DEV.proxy_ndp'
  return forwardsOn(dev) && dev.ns.sysctls.either(template, dev.name) && isProxied(dev, target)
}

/** pneigh_enqueue(): a time between 0 and proxy_delay, drawn from the seed and the two addresses. */
function proxyDelay(dev: NetDevice, source: Ipv6, target: Ipv6): number {
  const setting = dev.ns.sysctls.device('net.ipv6.neigh.DEV.proxy_delay', dev.name)
  const chance = dev.ns.machine.random('proxy_delay', source[3] * 0x10_0000 + (target[3] & 0xf_ffff))
  return Math.floor((chance / 0x1_0000_0000) * setting * userTick)
}

interface Question {
  readonly source: Ipv6
  readonly target: Ipv6
  /** The question went to a group: the answer names the MAC address. */
  readonly toGroup: boolean
  readonly own: boolean
}

function answer(skb: Skb, dev: NetDevice, question: Question): void {
  const duplicateCheck = isUnspecified(question.source)
  sendAdvertisement(dev, {
    target: question.target,
    destination: duplicateCheck ? allNodes : question.source,
    router: forwardsOn(dev),
    solicited: !duplicateCheck,
    override: question.own && (question.toGroup || duplicateCheck),
    withLink: question.toGroup || duplicateCheck,
    cause: skb,
  })
}

/** Whoever asks is known from then on, as STALE. */
function learnAsker(dev: NetDevice, question: Question, mac: Mac | undefined): void {
  const known = findNeighbour(dev, question.source)
  if (known === undefined && mac === undefined) return
  const neighbour = known ?? neighbourOf(dev, question.source)
  if (mac === undefined) return
  updateNeighbour(neighbour, { state: 'STALE', mac, override: true, weakOverride: true })
}

/** ndisc_recv_ns(). */
function solicited(skb: Skb, message: Solicitation): Fate {
  const { dev } = skb
  const source = readIpv6(skb.bytes, skb.networkHeader + ipv6At.source)
  const destination = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  if (isMulticast(message.target)) return 'SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS'
  const mac = linkOption(message.options, 'source-link')
  const duplicateCheck = isUnspecified(source)
  if (duplicateCheck && mac !== undefined) return 'SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS'
  const own = isOwnIpv6(dev.ns, message.target, dev)
  if (!own && !proxies(dev, message.target)) return 'SKB_DROP_REASON_IPV6_NDISC_NS_OTHERHOST'
  const question: Question = { source, target: message.target, toGroup: isMulticast(destination), own }
  if (!duplicateCheck) learnAsker(dev, question, mac)
  const delay = own || skb.pktType === pktType.host ? 0 : proxyDelay(dev, source, message.target)
  if (delay === 0) answer(skb, dev, question)
  else dev.ns.machine.clock.after(delay, () => answer(skb, dev, question))
  return 'taken'
}

/** ndisc_recv_na(): only who was asked for, or is known, is believed. */
function advertised(skb: Skb, message: Advertisement): Fate {
  const { dev } = skb
  const destination = readIpv6(skb.bytes, skb.networkHeader + ipv6At.destination)
  if (isMulticast(message.target)) return 'SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS'
  if (isMulticast(destination) && message.solicited) return 'SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS'
  if (isOwnIpv6(dev.ns, message.target, dev)) return 'taken'
  const neighbour = findNeighbour(dev, message.target)
  if (neighbour === undefined || neighbour.state === 'FAILED') return 'taken'
  const mac = linkOption(message.options, 'target-link')
  updateNeighbour(neighbour, {
    state: message.solicited ? 'REACHABLE' : 'STALE',
    ...(mac === undefined ? {} : { mac }),
    override: message.override || mac === undefined,
    weakOverride: true,
    router: message.router,
  })
  return 'taken'
}

function process(skb: Skb): Fate {
  const hopLimit = readU8(skb.bytes, skb.networkHeader + ipv6At.hopLimit)
  const code = readU8(skb.bytes, skb.data + icmpv6At.code)
  if (hopLimit !== 255 || code !== 0) return 'SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS'
  const message = decodeNd(skb.bytes, skb.data, skb.tail)
  if (isMalformed(message)) return 'SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS'
  switch (message.kind) {
    case 'neighbour-solicitation':
      return solicited(skb, message)
    case 'neighbour-advertisement':
      return advertised(skb, message)
    case 'router-solicitation':
    case 'router-advertisement':
      // routers of scenarios are configured, never learned
      return 'taken'
    case 'redirect':
      // the kernel at hand follows none, though rt6_do_redirect() reads as if it would
      return 'taken'
  }
}

/** ndisc_rcv(): a message whose checksum was checked; `skb.data` stands at the ICMPv6 header. */
export function neighbourDiscovery(skb: Skb): void {
  const place = { device: skb.dev.name, stage: 'rx' } as const
  const fate = process(skb)
  if (fate === 'taken') deliverOutcome(skb, { ...place, actor: 'kernel', target: 'nd' })
  else drop(skb, { ...place, reason: fate })
}
