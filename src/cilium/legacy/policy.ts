// Policy of an endpoint in Cilium 1.10: four exact lookups, the first hit decides, even for a denial. bpf/lib/policy.h
import { present } from '../../base/assert.ts'
import { readLe16, writeLe32 } from '../../bpf/context/byte-order.ts'
import { writeU16 } from '../../net/bytes.ts'
import type { Ctx } from '../datapath/ctx.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4, protocolNumber } from '../datapath/family.ts'
import { identity } from '../datapath/identity.ts'
import { policyMatch } from '../datapath/notify.ts'
import { readLe64, writeLe64 } from '../maps/ct-entry.ts'
import type { Tuple } from '../maps/tuple.ts'
import { cb, encapPorts } from './slots.ts'

const keyBytes = 8
const at = { remote: 0, port: 4, protocol: 6, egress: 7 } as const
const entryAt = { proxyPort: 0, deny: 2, packets: 8, bytes: 16 } as const
const unreachable = 3
const fragmentationNeeded = 4
const icmpHeaderBytes = 8

/** What a policy says about a packet. */
export interface PolicyVerdict {
  /** CTX_ACT_OK, a drop reason, or the proxy's port: a __be16 as a little-endian machine reads it. */
  readonly verdict: number
  readonly match: number
  readonly audited: boolean
}

/** What is asked. */
export interface PolicyQuestion {
  /** Identity of the other side. */
  readonly remote: number
  /** Its `dport` is what the policy is asked for. */
  readonly tuple: Tuple
  readonly l4Offset: number
  /** A fragment while fragments are not tracked. */
  readonly untrackedFragment: boolean
}

/** ALLOW_ICMP_FRAG_NEEDED: path MTU discovery works whatever the policy. A drop reason, CTX_ACT_OK, or undefined. */
function fragNeeded(ctx: Ctx, { tuple, l4Offset }: PolicyQuestion): number | undefined {
  if (!ctx.node.allow_icmp_frag_needed || tuple.nexthdr !== ipv4.icmp) return undefined
  const header = ctx.load(l4Offset, icmpHeaderBytes)
  if (header === undefined) return drop.INVALID
  return header[0] === unreachable && header[1] === fragmentationNeeded ? ctx.act.OK : undefined
}

/** Counts the packet in an entry of the policy. */
function account(ctx: Ctx, entry: Uint8Array): void {
  writeLe64(entry, entryAt.packets, readLe64(entry, entryAt.packets) + 1)
  writeLe64(entry, entryAt.bytes, readLe64(entry, entryAt.bytes) + ctx.length)
}

interface Hit {
  readonly entry: Uint8Array
  readonly match: number
}

/** The first of the four entries that exists. */
function firstHit(ctx: Ctx, question: PolicyQuestion, egress: boolean): Hit | undefined {
  const { remote, tuple } = question
  const map = present(ctx.maps.policy, 'an object that asks for policy has a policy map')
  const key = new Uint8Array(keyBytes)
  key[at.egress] = egress ? 1 : 0
  const ask = (identityAsked: number, match: number): Hit | undefined => {
    writeLe32(key, at.remote, identityAsked)
    const entry = ctx.lookup(map, key)
    return entry === undefined ? undefined : { entry, match }
  }
  if (!question.untrackedFragment) {
    writeU16(key, at.port, tuple.dport)
    key[at.protocol] = tuple.nexthdr
    const byPort = ask(remote, policyMatch.L3_L4) ?? ask(0, policyMatch.L4_ONLY)
    if (byPort !== undefined) return byPort
    writeU16(key, at.port, 0)
    key[at.protocol] = 0
  }
  return ask(remote, policyMatch.L3_ONLY) ?? ask(0, policyMatch.ALL)
}

function verdictOf(entry: Uint8Array, match: number): number {
  if (((entry[entryAt.deny] as number) & 1) !== 0) return drop.POLICY_DENY
  const hasPort = match === policyMatch.L3_L4 || match === policyMatch.L4_ONLY
  return hasPort ? readLe16(entry, entryAt.proxyPort) : 0
}

/** __policy_can_access() */
function policyCanAccess(ctx: Ctx, question: PolicyQuestion, egress: boolean): PolicyVerdict {
  const known = fragNeeded(ctx, question)
  if (known !== undefined) return { verdict: known, match: policyMatch.NONE, audited: false }
  const hit = firstHit(ctx, question, egress)
  if (hit !== undefined) {
    account(ctx, hit.entry)
    return { verdict: verdictOf(hit.entry, hit.match), match: hit.match, audited: false }
  }
  const nothing = { match: policyMatch.NONE, audited: false }
  if (ctx.meta(cb.POLICY) !== 0) return { ...nothing, verdict: ctx.act.OK }
  return { ...nothing, verdict: question.untrackedFragment ? drop.FRAG_NOSUPPORT : drop.POLICY }
}

/** In audit mode nothing is denied, only noted. */
function audited(ctx: Ctx, answer: PolicyVerdict): PolicyVerdict {
  const denied = ctx.node.POLICY_AUDIT_MODE && answer.verdict < 0
  return denied ? { ...answer, verdict: ctx.act.OK, audited: true } : answer
}

/** policy_can_access_ingress() */
export function policyCanIngress(ctx: Ctx, question: PolicyQuestion): PolicyVerdict {
  return audited(ctx, policyCanAccess(ctx, question, false))
}

/** policy_can_egress(): `source` is this endpoint's identity. Not even audit mode lets a pod make tunnel packets. */
export function policyCanEgress(
  ctx: Ctx,
  source: number,
  question: Omit<PolicyQuestion, 'untrackedFragment'>,
): PolicyVerdict {
  const { tuple } = question
  const encapsulated = tuple.nexthdr === protocolNumber.UDP && encapPorts.has(tuple.dport)
  if (ctx.node.HAVE_ENCAP && source !== identity.HOST_ID && encapsulated) {
    return { verdict: drop.ENCAP_PROHIBITED, match: policyMatch.NONE, audited: false }
  }
  return audited(ctx, policyCanAccess(ctx, { ...question, untrackedFragment: false }, true))
}

/** policy_mark_skip(): whatever policy says later, the packet passes. */
export function policyMarkSkip(ctx: Ctx): void {
  ctx.setMeta(cb.POLICY, 1)
}

/** policy_clear_mark() */
export function policyClearMark(ctx: Ctx): void {
  ctx.setMeta(cb.POLICY, 0)
}
