// The neighbour state machine (net/core/neighbour.c), shared by ARP and neighbour discovery: who may be sent to at once,
// who is asked first, which packets wait meanwhile, and what becomes of them. Times are exact: where Linux draws the
// reachable time between half and one and a half of its base, this kernel takes the base itself.
import type { IpAddress } from '../net/address.ts'
import { cancel, millisecond, second } from './clock.ts'
import type { NetDevice } from './device/device.ts'
import { drop } from './drop.ts'
import { familyState } from './ip/state.ts'
import { findNeighbour, isConnected, isValid, now, reachableTime, setting } from './neighbour-entry.ts'
import { sendResolved } from './neighbour-send.ts'
import type { Neighbour, NeighbourState, NeighbourTable } from './neighbour-table.ts'
import type { Skb } from './skb.ts'
import { setOnWheel } from './timer-wheel.ts'

/** A packet's charge against unres_qlen_bytes: sk_buff, skb_shared_info and its buffer, as 6.18 accounts them. */
function truesize(skb: Skb): number {
  const overhead = 576
  const step = 256
  return overhead + Math.ceil(Math.max(skb.length, 1) / step) * step
}

function retransTime(neighbour: Neighbour): number {
  return Math.max(setting(neighbour, 'retrans_time_ms') * millisecond, 10 * millisecond)
}

function delayTime(neighbour: Neighbour): number {
  return setting(neighbour, 'delay_first_probe_time') * second
}

function tableOf(neighbour: Neighbour): NeighbourTable {
  return familyState(neighbour.device.ns, neighbour.family).neighbours
}

function onTime(neighbour: Neighbour): void {
  neighbour.timer = undefined
  expire(neighbour)
}

function arm(neighbour: Neighbour, at: number): void {
  cancel(neighbour.timer)
  const { clock } = neighbour.device.ns.machine
  neighbour.timer = clock.after(Math.max(at - clock.now, 0), () => onTime(neighbour))
}

/** Fires when the kernel's timer wheel would: questions go out at 0, 1.02 and 2.04 s (facts: linux 6.8). */
function armOnWheel(neighbour: Neighbour, delay: number): void {
  cancel(neighbour.timer)
  const { clock } = neighbour.device.ns.machine
  const age = now(neighbour) - neighbour.updated
  neighbour.timer = setOnWheel(clock, { age, delay }, () => onTime(neighbour))
}

function disarm(neighbour: Neighbour): void {
  cancel(neighbour.timer)
  neighbour.timer = undefined
}

/** neigh_probe: asks once more; the newest waiting packet lends its source address. */
function probe(neighbour: Neighbour): void {
  const unicast = neighbour.probes < setting(neighbour, 'ucast_solicit')
  const cause = neighbour.queue.at(-1)
  tableOf(neighbour).ops.get(neighbour.family)?.solicit(neighbour, { unicast, cause })
  neighbour.probes += 1
}

/** What __neigh_event_send() asks, it asks with bottom halves disabled: the answer comes when the packet waits. */
function probeWhole(neighbour: Neighbour): void {
  const { clock } = neighbour.device.ns.machine
  clock.disableBottomHalves()
  probe(neighbour)
  clock.enableBottomHalves()
}

/** neigh_max_probes. */
function probesMax(neighbour: Neighbour): number {
  const unicast = setting(neighbour, 'ucast_solicit')
  return neighbour.state === 'PROBE' ? unicast : unicast + setting(neighbour, 'mcast_solicit')
}

/** neigh_invalidate: everybody who waited learns that there is no way. */
function fail(neighbour: Neighbour): void {
  neighbour.state = 'FAILED'
  neighbour.updated = now(neighbour)
  disarm(neighbour)
  const waiting = neighbour.queue.splice(0)
  neighbour.queueBytes = 0
  const ops = tableOf(neighbour).ops.get(neighbour.family)
  for (const skb of waiting) {
    ops?.unreachable(neighbour, skb)
    drop(skb, {
      node: neighbour.device.ns.name,
      device: neighbour.device.name,
      stage: 'neigh',
      reason: 'SKB_DROP_REASON_NEIGH_FAILED',
    })
  }
}

function expireReachable(neighbour: Neighbour): void {
  const time = now(neighbour)
  const until = neighbour.confirmed + reachableTime(neighbour)
  if (time < until) {
    arm(neighbour, until)
  } else if (time <= neighbour.used + delayTime(neighbour)) {
    neighbour.state = 'DELAY'
    neighbour.updated = time
    arm(neighbour, time + delayTime(neighbour))
  } else {
    neighbour.state = 'STALE'
    neighbour.updated = time
  }
}

function expireDelay(neighbour: Neighbour): void {
  const time = now(neighbour)
  if (time <= neighbour.confirmed + delayTime(neighbour)) {
    neighbour.state = 'REACHABLE'
    neighbour.updated = time
    arm(neighbour, neighbour.confirmed + reachableTime(neighbour))
    return
  }
  neighbour.state = 'PROBE'
  neighbour.updated = time
  neighbour.probes = 0
  armOnWheel(neighbour, retransTime(neighbour))
  probe(neighbour)
}

/** neigh_timer_handler. */
function expire(neighbour: Neighbour): void {
  switch (neighbour.state) {
    case 'REACHABLE':
      expireReachable(neighbour)
      return
    case 'DELAY':
      expireDelay(neighbour)
      return
    case 'INCOMPLETE':
    case 'PROBE':
      if (neighbour.probes >= probesMax(neighbour)) {
        fail(neighbour)
        return
      }
      armOnWheel(neighbour, retransTime(neighbour))
      probe(neighbour)
      return
    case 'NONE':
    case 'STALE':
    case 'FAILED':
    case 'NOARP':
    case 'PERMANENT':
      return
  }
}

/** The queue keeps the newest packets within unres_qlen_bytes; older ones vanish without a counter. */
function enqueue(neighbour: Neighbour, skb: Skb): void {
  const limit = setting(neighbour, 'unres_qlen_bytes')
  const size = truesize(skb)
  while (neighbour.queue.length > 0 && neighbour.queueBytes + size > limit) {
    const oldest = neighbour.queue.shift()
    if (oldest === undefined) break
    neighbour.queueBytes -= truesize(oldest)
    drop(oldest, {
      node: neighbour.device.ns.name,
      device: neighbour.device.name,
      stage: 'neigh',
      reason: 'SKB_DROP_REASON_NEIGH_QUEUEFULL',
    })
  }
  neighbour.queue.push(skb)
  neighbour.queueBytes += size
}

function startResolving(neighbour: Neighbour): void {
  neighbour.probes = setting(neighbour, 'ucast_solicit')
  neighbour.state = 'INCOMPLETE'
  neighbour.updated = now(neighbour)
  armOnWheel(neighbour, retransTime(neighbour))
}

/**
 * neigh_event_send(): notes that the neighbour is in use, and starts or goes on with finding its address. True when a
 * packet may be sent now; otherwise `skb` (if any) waits in the queue. Redirects call it without a packet.
 */
export function useNeighbour(neighbour: Neighbour, skb: Skb | undefined): boolean {
  neighbour.used = now(neighbour)
  if (neighbour.state === 'REACHABLE' && neighbour.timer === undefined) {
    arm(neighbour, neighbour.confirmed + reachableTime(neighbour))
  }
  if (isConnected(neighbour.state) || neighbour.state === 'DELAY' || neighbour.state === 'PROBE') return true
  if (neighbour.state === 'STALE') {
    neighbour.state = 'DELAY'
    neighbour.updated = now(neighbour)
    armOnWheel(neighbour, delayTime(neighbour))
    return true
  }
  const fresh = neighbour.state !== 'INCOMPLETE'
  if (fresh) startResolving(neighbour)
  if (skb !== undefined) enqueue(neighbour, skb)
  if (fresh) probeWhole(neighbour)
  return false
}

/** How an answer, or an administrator, changes a neighbour (NEIGH_UPDATE_F_*). */
export interface NeighbourUpdate {
  readonly state: NeighbourState
  /** undefined: keep the address that is known. */
  readonly mac?: number
  /** A different address replaces the known one. */
  readonly override?: boolean
  /** A different address makes a connected entry STALE instead of replacing it (IPv6). */
  readonly weakOverride?: boolean
  readonly admin?: boolean
  readonly router?: boolean
}

/** The state that an update of a valid entry leads to, or undefined when it changes nothing. */
function mergeState(neighbour: Neighbour, update: NeighbourUpdate): NeighbourState | undefined {
  const different = update.mac !== undefined && update.mac !== neighbour.mac
  if (different && update.override !== true) {
    return update.weakOverride === true && isConnected(neighbour.state) ? 'STALE' : undefined
  }
  const keeps = !different && update.state === 'STALE' && update.admin !== true
  return keeps ? neighbour.state : update.state
}

function armFor(neighbour: Neighbour): void {
  const time = now(neighbour)
  disarm(neighbour)
  if (neighbour.state === 'PROBE') neighbour.probes = 0
  if (neighbour.state === 'REACHABLE') arm(neighbour, time + reachableTime(neighbour))
  if (neighbour.state === 'DELAY' || neighbour.state === 'PROBE') arm(neighbour, time)
}

function invalidate(neighbour: Neighbour, state: NeighbourState): void {
  const waiting = neighbour.state === 'INCOMPLETE' || neighbour.state === 'PROBE'
  disarm(neighbour)
  if (waiting && state === 'FAILED') fail(neighbour)
  else neighbour.state = state
}

/** neigh_update(). False when the entry may not be changed (PERMANENT and NOARP, but for an administrator). */
export function updateNeighbour(neighbour: Neighbour, update: NeighbourUpdate): boolean {
  const old = neighbour.state
  if (update.admin !== true && (old === 'NOARP' || old === 'PERMANENT')) return false
  if (!isValid(update.state)) {
    invalidate(neighbour, update.state)
    return true
  }
  if (update.mac === undefined && !isValid(old)) return false
  const time = now(neighbour)
  const weak = update.mac !== neighbour.mac && update.override !== true
  const state = isValid(old) ? mergeState(neighbour, update) : update.state
  if (isConnected(update.state)) neighbour.confirmed = time
  if (state === undefined) return true
  if (update.router !== undefined && (!weak || !isValid(old))) neighbour.router = update.router
  const mac = isValid(old) && weak ? neighbour.mac : (update.mac ?? neighbour.mac)
  if (state !== old || mac !== neighbour.mac) neighbour.updated = time
  if (mac !== neighbour.mac) {
    neighbour.mac = mac
    if (!isConnected(state)) neighbour.confirmed = time - 2 * reachableTime(neighbour)
  }
  if (state === old) return true
  neighbour.state = state
  armFor(neighbour)
  if (!isValid(old)) flush(neighbour)
  return true
}

/** Sends what waited, oldest first. */
function flush(neighbour: Neighbour): void {
  const waiting = neighbour.queue.splice(0)
  neighbour.queueBytes = 0
  for (const skb of waiting) {
    if (useNeighbour(neighbour, skb)) sendResolved(neighbour, skb)
  }
}

/** neigh_confirm(): a higher layer (TCP) has proof that the neighbour receives what is sent to it. */
export function confirmNeighbour(dev: NetDevice, address: IpAddress): void {
  const found = findNeighbour(dev, address)
  if (found !== undefined && isValid(found.state)) found.confirmed = now(found)
}

/**
 * Forgets the neighbours of a device that went down (neigh_ifdown), permanent ones too, or only those that were learned
 * (neigh_carrier_down). Waiting packets are dropped.
 */
export function forgetNeighbours(dev: NetDevice, family: 4 | 6, which: 'all' | 'learned' = 'all'): void {
  const table = familyState(dev.ns, family).neighbours
  for (const neighbour of [...table.entries.values()]) {
    if (neighbour.device !== dev || (which === 'learned' && neighbour.state === 'PERMANENT')) continue
    removeNeighbour(neighbour)
  }
}

/** Takes an entry out; its waiting packets end here. */
export function removeNeighbour(neighbour: Neighbour): void {
  disarm(neighbour)
  for (const skb of neighbour.queue.splice(0)) {
    drop(skb, {
      node: neighbour.device.ns.name,
      device: neighbour.device.name,
      stage: 'neigh',
      reason: 'SKB_DROP_REASON_NEIGH_DEAD',
    })
  }
  neighbour.queueBytes = 0
  tableOf(neighbour).entries.delete(neighbour.address, neighbour.device.ifindex)
}
