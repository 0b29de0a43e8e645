// A netkit pair as the file says it. The end that says `netkit` is the primary one, of two the one that says the mode, or
// else the first in the file: it has the mode and the programs; policy and scrub belong to the end that says them.
import type { Word } from '../../syntax/ast.ts'
import type { NetkitModel } from '../device-model.ts'
import { optionValue } from '../words/options.ts'
import type { DeviceDraft } from '../world/entities.ts'
import type { Scope } from './scope.ts'

/** Words of `ip link` and of the kernel. */
export const netkitPolicies = {
  forward: 'forward',
  pass: 'forward',
  blackhole: 'blackhole',
  drop: 'blackhole',
} as const
export const netkitModes = ['l2', 'l3'] as const
export const netkitScrubs = ['default', 'none'] as const

function endOf({ peer }: DeviceDraft, { entities }: Pick<Scope, 'entities'>): DeviceDraft | undefined {
  return peer === undefined ? undefined : entities.hosts.get(peer.host)?.devices.get(peer.device)
}

function saysNetkit(draft: DeviceDraft | undefined): draft is DeviceDraft {
  return draft?.kind === 'netkit' && draft.syntax?.type === 'netkit'
}

/** Whether this is the end from which the pair is managed. */
export function isPrimary(draft: DeviceDraft, scope: Pick<Scope, 'entities'>): boolean {
  if (!saysNetkit(draft)) return false
  const other = endOf(draft, scope)
  if (!saysNetkit(other)) return true
  const saysMode = ({ options }: DeviceDraft): boolean => optionValue(options, 'mode') !== undefined
  if (saysMode(draft) !== saysMode(other)) return saysMode(draft)
  return draft.span.start < other.span.start
}

function policyOf(word: Word | undefined): NetkitModel['policy'] {
  const text = word?.text ?? ''
  return Object.hasOwn(netkitPolicies, text) ? netkitPolicies[text as keyof typeof netkitPolicies] : 'forward'
}

function scrubOf(word: Word | undefined): NetkitModel['scrub'] {
  return word?.text === 'none' ? 'none' : 'default'
}

/** The pair that a device belongs to; undefined for other devices. */
export function netkitOf(device: DeviceDraft, scope: Pick<Scope, 'entities'>): NetkitModel | undefined {
  if (device.kind !== 'netkit') return undefined
  const primary = isPrimary(device, scope)
  const other = endOf(device, scope)
  const [draft, peer] = primary ? [device, other] : [other, device]
  const of = (device: DeviceDraft | undefined, name: 'mode' | 'policy' | 'scrub'): Word | undefined =>
    device === undefined ? undefined : optionValue(device.options, name)
  return {
    primary,
    mode: of(draft, 'mode')?.text === 'l2' ? 'l2' : 'l3',
    policy: policyOf(of(draft, 'policy')),
    peerPolicy: policyOf(of(peer, 'policy')),
    scrub: scrubOf(of(draft, 'scrub')),
    peerScrub: scrubOf(of(peer, 'scrub')),
  }
}

/** A pair of mode l3 has no MAC addresses. */
export function hasMac(draft: DeviceDraft, scope: Pick<Scope, 'entities'>): boolean {
  if (draft.kind !== 'netkit') return true
  const primary = isPrimary(draft, scope) ? draft : endOf(draft, scope)
  return primary !== undefined && optionValue(primary.options, 'mode')?.text === 'l2'
}
