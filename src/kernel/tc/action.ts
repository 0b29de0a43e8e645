// The actions of a matching classic filter (tcf_exts_exec): drop, pass, mirror or redirect to another device.

import { scrub } from '../device/crossing.ts'
import type { NetDevice } from '../device/device.ts'
import { drop } from '../drop.ts'
import { ethTypeTrans } from '../eth-type.ts'
import type { Skb } from '../skb.ts'
import { type TcAction, type TcDirection, type TcProgram, tcAct } from './hook.ts'

const sites = { ingress: 'tc-in', egress: 'tc-out' } as const

/** Runs the actions in order; the answer is the code of the one that decided. No action at all accepts. */
export function runActions(dev: NetDevice, entry: TcProgram, skb: Skb, direction: TcDirection): number {
  let verdict: number = tcAct.ok
  for (const action of entry.actions) {
    verdict = runAction(dev, action, skb, direction)
    if (verdict !== tcAct.pipe) break
  }
  return verdict
}

function runAction(dev: NetDevice, action: TcAction, skb: Skb, direction: TcDirection): number {
  switch (action.kind) {
    case 'pass':
      return tcAct.ok
    case 'drop':
      noteDecision(dev, skb, direction, { code: 'SHOT', target: '' })
      return tcAct.shot
    case 'mirred':
      return mirred(dev, action, skb, direction)
  }
}

function noteDecision(
  dev: NetDevice,
  skb: Skb,
  direction: TcDirection,
  decision: { readonly code: string; readonly target: string },
): void {
  const { trace } = dev.ns.machine
  if (trace === undefined) return
  const { code, target } = decision
  const site = { node: dev.ns.name, device: dev.name, stage: sites[direction] }
  trace.note(skb, site, { actor: 'kernel', decision: target === '' ? { code } : { code, target } })
}

/** tcf_mirred_act(): a copy (or the packet) leaves by, or arrives on, another device. A missing or downed one is a drop. */
function mirred(
  dev: NetDevice,
  action: Extract<TcAction, { kind: 'mirred' }>,
  skb: Skb,
  direction: TcDirection,
): number {
  const target = dev.ns.devices.get(action.ifindex)
  const mirrors = action.mode === 'mirror'
  if (target === undefined || !target.up) {
    if (!mirrors) lost(dev, skb, direction)
    return mirrors ? tcAct.pipe : tcAct.consumed
  }
  const suffix = action.direction === 'ingress' ? ' ingress' : ''
  const code = mirrors ? 'MIRROR' : 'REDIRECT'
  noteDecision(dev, skb, direction, { code, target: `${target.name}${suffix}` })
  const sent = mirrors ? skb.clone() : skb
  if (!mirrors) sent.redirected = true
  sent.pushMac()
  sent.dev = target
  if (action.direction === 'egress') dev.ns.machine.wiring.transmit(sent)
  else arriveOn(target, sent)
  return mirrors ? tcAct.pipe : tcAct.consumed
}

/** tcf_mirred_forward(want_ingress): netif_rx, so the copy arrives after what is running now. */
function arriveOn(target: NetDevice, skb: Skb): void {
  const { clock, wiring } = target.ns.machine
  scrub(skb)
  ethTypeTrans(skb, target)
  clock.soon(() => wiring.netifReceive(skb))
}

function lost(dev: NetDevice, skb: Skb, direction: TcDirection): void {
  drop(skb, {
    node: dev.ns.name,
    device: dev.name,
    stage: sites[direction],
    reason: 'TC_REDIRECT_FAILED_SCN',
  })
}
