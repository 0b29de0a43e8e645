// Where tc programs send packets: skb_do_redirect() and the helpers of net/core/filter.c. The rules, with what each way
// skips, are in facts/linux section 3. Failures are silent: the sender sees success and no counter moves.
import type { Redirect } from '../bpf/contract.ts'
import { type IpAddress, ipv4From } from '../net/address.ts'
import { isMulticastMac, readMac } from '../net/mac.ts'
import type { Site } from '../trace/recorder.ts'
import { countReceived } from './counters.ts'
import { clearTstamp, scrub } from './device/crossing.ts'
import { type NetDevice, transmitDown, transmitted } from './device/device.ts'
import { drop } from './drop.ts'
import { ethTypeTrans } from './eth-type.ts'
import { dropRecursiveRedirect, tooManyTransmissions } from './recursion.ts'
import { redirectNeigh } from './redirect-neigh.ts'
import type { Skb } from './skb.ts'
import type { TcDirection } from './tc/hook.ts'
import { queueTransmit } from './transmit.ts'

const errno = { invalid: -22 } as const

function failed(skb: Skb, from: TcDirection, at?: Site & { readonly device: string }): 'gone' {
  const site = at ?? { device: skb.dev.name, stage: from === 'ingress' ? 'tc-in' : 'tc-out' }
  drop(skb, { ...site, reason: 'TC_REDIRECT_FAILED_SCN' })
  return 'gone'
}

/**
 * Sends a packet where a tc program asked; `again` means: receive it on `skb.dev` now (redirect_peer). `at` is where the
 * trace has the program, if that is no hook of tc.
 */
export function redirect(
  skb: Skb,
  to: Redirect,
  from: TcDirection,
  at?: Site & { readonly device: string },
): 'gone' | 'again' {
  if (to.kind === 'none') return failed(skb, from, at)
  const target = skb.dev.ns.devices.get(to.ifindex)
  if (target === undefined) return failed(skb, from, at)
  skb.pushMac()
  switch (to.kind) {
    case 'device':
      if (to.ingress) receiveOn(target, skb, from)
      else sendFrom(target, skb)
      return 'gone'
    case 'neigh':
      return redirectToNeighbour(skb, target, to, from)
    case 'peer':
      return redirectPeer(target, skb, from)
    case 'map':
      return failed(skb, from)
  }
}

/** Whether a frame has an Ethernet header for one receiver: no other frame gets new addresses (ENOTSUPP). */
function isForOne({ bytes, macHeader, networkHeader }: Skb): boolean {
  return macHeader >= 0 && macHeader < networkHeader && !isMulticastMac(readMac(bytes, macHeader))
}

/**
 * __bpf_redirect_neigh(): addresses filled in by the tables of the target's namespace. Silent drops: no route, and frames
 * to a group or to all.
 */
function redirectToNeighbour(
  skb: Skb,
  target: NetDevice,
  to: Extract<Redirect, { kind: 'neigh' }>,
  from: TcDirection,
): 'gone' {
  const { nextHop } = to
  if (!isForOne(skb)) {
    failed(skb, from)
    return 'gone'
  }
  const address = nextHop === undefined ? undefined : addressOf(nextHop.family, nextHop.address)
  if (!redirectNeigh(skb, target, address)) failed(skb, from)
  return 'gone'
}

function addressOf(family: 4 | 6, words: readonly number[]): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0] = words
  return family === 4 ? ipv4From(a) : [a, b, c, d]
}

/** __bpf_redirect_no_mac(): a device without link-layer header gets packets without one. False where nothing is behind it. */
function takeMacOff(skb: Skb): boolean {
  if (skb.macHeader >= 0 && skb.networkHeader > skb.data) {
    if (skb.networkHeader >= skb.tail) return false
    skb.data = skb.networkHeader
  }
  skb.macHeader = -1
  return true
}

/**
 * __bpf_tx_skb(): the target's tc egress, taps and driver. Bounded by the depth of transmissions on a CPU. Marked as
 * redirected until somebody's tc ingress has let it through.
 */
function sendFrom(target: NetDevice, skb: Skb): number {
  const { machine } = target.ns
  if (tooManyTransmissions(machine)) {
    dropRecursiveRedirect(skb)
    return transmitDown
  }
  if (target.headerBytes === 0 && !takeMacOff(skb)) {
    failed(skb, 'egress')
    return transmitted
  }
  skb.dev = target
  skb.redirected = true
  clearTstamp(skb)
  machine.transmitDepth += 1
  const result = queueTransmit(skb)
  machine.transmitDepth -= 1
  return result
}

/**
 * __bpf_rx_skb(): dev_forward_skb, as if received on the target, behind what is queued. No counters, no native XDP; a
 * generic program does run (tried on 6.18).
 */
function receiveOn(target: NetDevice, skb: Skb, from: TcDirection): boolean {
  if (!target.up) {
    target.counters.rx_dropped += 1
    failed(skb, from)
    return false
  }
  const { clock, wiring } = target.ns.machine
  scrub(skb)
  skb.priority = 0 // ____dev_forward_skb()
  ethTypeTrans(skb, target)
  clock.soon(() => wiring.netifReceive(skb))
  return true
}

/**
 * BPF_F_PEER: into the other namespace at once, keeping the mark; at ingress only, and never within one namespace. The
 * peer's native XDP does not run, a generic program does (tried on 6.18).
 */
function redirectPeer(target: NetDevice, skb: Skb, from: TcDirection): 'gone' | 'again' {
  const { peer } = target
  if (from !== 'ingress' || peer === undefined || !peer.up || peer.ns === skb.dev.ns) return failed(skb, from)
  skb.dev = peer
  countReceived(peer, skb.length)
  scrub(skb)
  return 'again'
}

/** BPF_F_INGRESS. */
const flagIngress = 1

/** bpf_clone_redirect(): a copy leaves before the helper returns. 0, or a negative errno. */
export function cloneRedirect(
  skb: Skb,
  request: { readonly ifindex: number; readonly flags: number },
): number {
  if ((request.flags & ~flagIngress) !== 0) return errno.invalid
  const target = skb.dev.ns.devices.get(request.ifindex)
  if (target === undefined) return errno.invalid
  const copy = skb.clone()
  copy.pushMac()
  if (request.flags === 0) return sendFrom(target, copy)
  return receiveOn(target, copy, 'ingress') ? transmitted : transmitDown
}
