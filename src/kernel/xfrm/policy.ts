// The security policy database: which packets are to be transformed, and how packets that come must have been. Linux:
// struct xfrm_policy, net/xfrm/xfrm_policy.c xfrm_policy_insert(), xfrm_policy_match(). Policies of sockets, of devices and of
// interfaces (if_id) are not modelled.
import { type IpAddress, isIpv4, isUnspecified, sameIp } from '../../net/address.ts'
import { covers, type Prefix } from '../../net/prefix.ts'
import type { Flow } from '../ip/route.ts'

export type Direction = 'in' | 'out' | 'fwd'
export const directions: readonly Direction[] = ['in', 'out', 'fwd']

export type Mode = 'transport' | 'tunnel'

/** A value under a mask: of a packet's mark, or what becomes of it. */
export interface XfrmMark {
  readonly value: number
  readonly mask: number
}

/** struct xfrm_selector: which packets. A missing field matches every packet. */
export interface Selector {
  readonly family: 4 | 6
  readonly source: Prefix
  readonly destination: Prefix
  readonly protocol: number
  /** A port, or type and code of ICMP, with its mask; mask 0: any. */
  readonly sport: XfrmMark
  readonly dport: XfrmMark
}

/** struct xfrm_tmpl: one transformation. */
export interface Template {
  /** Both of the family of the tunnel; unspecified: any. */
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  /** 0: any. */
  readonly spi: number
  readonly reqid: number
  readonly mode: Mode
  /** `level use`: what cannot be transformed, or was not, passes as it is. */
  readonly optional: boolean
}

export interface Policy {
  readonly direction: Direction
  readonly selector: Selector
  readonly mark: XfrmMark
  /** The lowest number wins, then the policy that was there first. */
  readonly priority: number
  readonly action: 'allow' | 'block'
  readonly templates: readonly Template[]
}

/** No mark: value and mask are 0, and every packet has it. */
export const noMark: XfrmMark = { value: 0, mask: 0 }

/** Whether a mark is the one asked for. */
export function markMatches(mark: number, wanted: XfrmMark): boolean {
  return (mark & wanted.mask) >>> 0 === wanted.value
}

/** What one host knows of policies. */
export class PolicyTable {
  readonly #byDirection: Readonly<Record<Direction, Policy[]>> = { in: [], out: [], fwd: [] }
  readonly #ages = new Map<Policy, number>()
  #made = 0

  /** Whether there is any policy for a direction (net->xfrm.policy_count). */
  has(direction: Direction): boolean {
    return this.#byDirection[direction].length > 0
  }

  /** All policies of a direction, first those that win. */
  list(direction: Direction): readonly Policy[] {
    return this.#byDirection[direction]
  }

  /** How many policies had come before this one. */
  age(policy: Policy): number {
    return this.#ages.get(policy) ?? 0
  }

  /** xfrm_policy_insert(): behind those of its priority; one with the same selector and mark is replaced, or a mistake (EEXIST). */
  insert(policy: Policy, exclusive: boolean): 'ok' | 'EEXIST' {
    const list = this.#byDirection[policy.direction]
    const same = list.findIndex((each) => isSamePolicy(each, policy))
    if (same !== -1 && exclusive) return 'EEXIST'
    if (same !== -1) list.splice(same, 1)
    const later = list.findIndex(({ priority }) => priority > policy.priority)
    list.splice(later === -1 ? list.length : later, 0, policy)
    this.#made += 1
    this.#ages.set(policy, this.#made)
    return 'ok'
  }

  /** xfrm_policy_bysel_ctx() with `delete`: ENOENT where there is none. */
  remove(policy: Pick<Policy, 'direction' | 'selector' | 'mark'>): 'ok' | 'ENOENT' {
    const list = this.#byDirection[policy.direction]
    const at = list.findIndex((each) => isSamePolicy(each, policy))
    if (at === -1) return 'ENOENT'
    list.splice(at, 1)
    return 'ok'
  }

  clear(): void {
    for (const direction of directions) this.#byDirection[direction].length = 0
    this.#ages.clear()
  }

  /** xfrm_policy_lookup(): the policy of a flow. */
  lookup(direction: Direction, flow: Flow): Policy | undefined {
    return this.#byDirection[direction].find(
      ({ mark, selector }) => markMatches(flow.mark, mark) && selectorMatches(selector, flow),
    )
  }
}

function sameMark(left: XfrmMark, right: XfrmMark): boolean {
  return left.value === right.value && left.mask === right.mask
}

function samePrefix(left: Prefix, right: Prefix): boolean {
  return left.length === right.length && sameIp(left.address, right.address)
}

function sameSelector(left: Selector, right: Selector): boolean {
  return (
    left.family === right.family &&
    samePrefix(left.source, right.source) &&
    samePrefix(left.destination, right.destination) &&
    left.protocol === right.protocol &&
    sameMark(left.sport, right.sport) &&
    sameMark(left.dport, right.dport)
  )
}

function isSamePolicy(left: Policy, right: Pick<Policy, 'selector' | 'mark'>): boolean {
  return sameMark(left.mark, right.mark) && sameSelector(left.selector, right.selector)
}

/** xfrm_selector_match(). */
export function selectorMatches(selector: Selector, flow: Flow): boolean {
  const { sport, dport, protocol } = selector
  return (
    selector.family === flow.family &&
    covers(selector.source, flow.source) &&
    covers(selector.destination, flow.destination) &&
    (protocol === 0 || protocol === flow.protocol) &&
    markMatches(flow.sport, sport) &&
    markMatches(flow.dport, dport)
  )
}

/** Whether a wanted address is any address, or this one. */
export function isAnyOr(wanted: IpAddress, address: IpAddress): boolean {
  return isUnspecified(wanted) || (isIpv4(wanted) === isIpv4(address) && sameIp(wanted, address))
}
