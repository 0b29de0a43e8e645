// The security association database: with which key a packet is transformed, and how it is found again by what stands in it.
// Linux: struct xfrm_state, net/xfrm/xfrm_state.c xfrm_state_find(), xfrm_state_lookup(), net/xfrm/xfrm_replay.c. Lifetimes,
// UDP encapsulation, offload and interfaces (if_id) are not modelled.
import { type IpAddress, isIpv4, isUnspecified, sameIp } from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import type { Flow } from '../ip/route.ts'
import type { Algorithm } from './algorithm.ts'
import {
  type Mode,
  markMatches,
  type Policy,
  type Selector,
  selectorMatches,
  type Template,
  type XfrmMark,
} from './policy.ts'

/** What a person says of a state. */
export interface StateSpec {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly spi: number
  readonly reqid: number
  readonly mode: Mode
  readonly mark: XfrmMark
  /** props.smark: what becomes of the mark of a packet that is transformed; mask 0: nothing. */
  readonly outputMark: XfrmMark
  readonly algorithm: Algorithm
  /** Numbers that may come out of order; 0: none are looked at. */
  readonly replayWindow: number
  /** XFRM_STATE_ESN: numbers of 64 bits, of which packets carry the lower half. */
  readonly esn: boolean
  readonly flags: readonly StateFlag[]
  /** Which packets may be transformed; undefined: all. */
  readonly selector: Selector | undefined
}

/** XFRM_STATE_*. */
export const stateFlags = ['noecn', 'nopmtudisc'] as const
export type StateFlag = (typeof stateFlags)[number]

/** One security association with what it has counted. */
export interface XfrmState extends StateSpec {
  outputMark: XfrmMark
  /** oseq: the last number sent. */
  sent: number
  /** seq and bitmap: the highest number received, and those below it that came. */
  received: number
  readonly seen: Set<number>
  /** curlft. */
  bytes: number
  packets: number
}

/** struct esphdr. */
const espHeader = 8

/** x->props.header_len: bytes in front of what is encrypted. */
export function headerBytes({ algorithm, mode, source }: StateSpec): number {
  const outer = mode !== 'tunnel' ? 0 : isIpv4(source) ? ipv4At.options : ipv6At.payload
  return espHeader + algorithm.iv + outer
}

/** What the encrypted part is a multiple of. */
export function blockBytes({ algorithm }: StateSpec): number {
  return (algorithm.block + 3) & ~3
}

const ipv6MtuMin = 1280

/** xfrm_state_mtu(): bytes that a packet may have so that it fits when it is transformed. */
export function stateMtu(state: StateSpec, mtu: number): number {
  const four = isIpv4(state.source)
  const kept = state.mode === 'tunnel' ? 0 : four ? ipv4At.options : ipv6At.payload
  const room = mtu - headerBytes(state) - state.algorithm.icv - kept
  const inner = (room & ~(blockBytes(state) - 1)) + kept - 2
  return four ? inner : Math.max(inner, ipv6MtuMin)
}

/** xfrm_smark_get(). */
export function outputMark({ outputMark: { value, mask } }: StateSpec, mark: number): number {
  return ((mark & ~mask) | (value & mask)) >>> 0
}

/** __xfrm_state_addr_check(): an unspecified source on either side is any. */
function hasEnds(state: XfrmState, source: IpAddress, destination: IpAddress): boolean {
  return (
    sameIp(state.destination, destination) &&
    (isUnspecified(state.source) || isUnspecified(source) || sameIp(state.source, source))
  )
}

/** Whether two states cannot be told apart by a packet that arrives (__xfrm_state_lookup). */
function collides(left: XfrmState, right: StateSpec): boolean {
  return (
    left.spi === right.spi &&
    left.protocol === right.protocol &&
    sameIp(left.destination, right.destination) &&
    markMatches((right.mark.value & right.mark.mask) >>> 0, left.mark)
  )
}

/** What one host knows of security associations. */
export class StateTable {
  readonly #states: XfrmState[] = []

  /** All states, the newest first. */
  list(): readonly XfrmState[] {
    return this.#states
  }

  /** xfrm_state_add(). */
  add(spec: StateSpec): 'ok' | 'EEXIST' {
    if (this.#states.some((each) => collides(each, spec))) return 'EEXIST'
    this.#states.unshift({ ...spec, sent: 0, received: 0, seen: new Set(), bytes: 0, packets: 0 })
    return 'ok'
  }

  /** xfrm_state_update(): a state keeps its key and all else but for the output mark, if one is said; ESRCH where there is none. */
  update(spec: StateSpec): 'ok' | 'ESRCH' {
    const found = this.#named(spec)
    if (found === undefined) return 'ESRCH'
    const { value, mask } = spec.outputMark
    if (value !== 0 || mask !== 0) found.outputMark = spec.outputMark
    return 'ok'
  }

  /** xfrm_del_sa(): ESRCH where there is none. */
  remove(wanted: Pick<StateSpec, 'destination' | 'protocol' | 'spi' | 'mark'>): 'ok' | 'ESRCH' {
    const found = this.#named(wanted)
    if (found === undefined) return 'ESRCH'
    this.#states.splice(this.#states.indexOf(found), 1)
    return 'ok'
  }

  /** The state that a command is about. */
  #named(wanted: Pick<StateSpec, 'destination' | 'protocol' | 'spi' | 'mark'>): XfrmState | undefined {
    return this.lookup((wanted.mark.value & wanted.mark.mask) >>> 0, wanted)
  }

  clear(): void {
    this.#states.length = 0
  }

  /** xfrm_state_lookup(): by what stands in a packet, and its mark. */
  lookup(
    mark: number,
    { destination, protocol, spi }: Pick<StateSpec, 'destination' | 'protocol' | 'spi'>,
  ): XfrmState | undefined {
    return this.#states.find(
      (each) =>
        each.spi === spi &&
        each.protocol === protocol &&
        sameIp(each.destination, destination) &&
        markMatches(mark, each.mark),
    )
  }

  /** xfrm_state_find(): the newest that a template of a policy asks for; the mark of the policy counts, not the packet's. */
  find(
    policy: Policy,
    template: Template,
    ends: { readonly source: IpAddress; readonly destination: IpAddress; readonly flow: Flow },
  ): XfrmState | undefined {
    const mark = (policy.mark.value & policy.mark.mask) >>> 0
    return this.#states.find(
      (each) =>
        each.reqid === template.reqid &&
        markMatches(mark, each.mark) &&
        hasEnds(each, ends.source, ends.destination) &&
        each.mode === template.mode &&
        each.protocol === template.protocol &&
        (template.spi === 0 || template.spi === each.spi) &&
        (each.selector === undefined || selectorMatches(each.selector, ends.flow)),
    )
  }
}

const seqRange = 0x1_0000_0000

/** xfrm_replay_seqhi(): the whole number of a packet of which the lower half came, seen from what was received so far. */
export function wholeNumber({ esn, received, replayWindow }: XfrmState, low: number): number {
  if (!esn) return low
  const high = Math.floor(received / seqRange)
  const bottom = (received % seqRange) - replayWindow + 1
  if (bottom >= 0) return (low < bottom ? high + 1 : high) * seqRange + low
  // the window reaches below the last turn of the lower half
  return (low >= bottom + seqRange ? high - 1 : high) * seqRange + low
}

/** xfrm_replay_check(): whether a number may still come. Number 0 never does. */
export function mayCome(state: XfrmState, number: number): boolean {
  const { replayWindow, received, seen } = state
  if (replayWindow === 0) return true
  if (number <= 0) return false
  if (number > received) return true
  return received - number < replayWindow && !seen.has(number)
}

/** xfrm_replay_advance(). */
export function noteNumber(state: XfrmState, number: number): void {
  if (state.replayWindow === 0) return
  state.received = Math.max(state.received, number)
  state.seen.add(number)
  for (const each of state.seen) if (each <= state.received - state.replayWindow) state.seen.delete(each)
}
