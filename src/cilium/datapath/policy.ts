// Policy of an endpoint: two lookups in its map, the better one decides. lib/policy.h

import { present } from '../../base/assert.ts'
import { readLe32, writeLe32 } from '../../bpf/context/byte-order.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import type { Tuple } from '../maps/tuple.ts'
import { type Ctx, isError } from './ctx.ts'
import { drop } from './drop-reason.ts'
import { ipv4, protocolNumber } from './family.ts'
import { identity } from './identity.ts'
import { policyMatch } from './notify.ts'

const keyBytes = 12
/** POLICY_FULL_PREFIX: lookups ask with everything. */
const fullPrefix = 64
const protocolPrefixBits = 8
const maxPrecedence = 0xffff_ffff
const unreachable = 3
const fragmentationNeeded = 4
const icmpHeaderBytes = 8

/** What a policy says about a packet. */
export interface PolicyVerdict {
  /** CTX_ACT_OK or a drop reason. */
  verdict: number
  match: number
  audited: boolean
  /** 0: no proxy. Host order. */
  proxyPort: number
  cookie: number
}

/** What is asked. */
export interface PolicyQuestion {
  /** Identity of the other side. */
  readonly remote: number
  /** The tuple in forward form: `dport` is the destination's port. */
  readonly tuple: Tuple
  readonly l4Offset: number
  /** A later fragment while fragments are not tracked. */
  readonly untrackedFragment: boolean
}

/** struct policy_entry */
interface PolicyEntry {
  readonly proxyPort: number
  readonly deny: boolean
  readonly prefixLength: number
  readonly authType: number
  readonly hasExplicitAuth: boolean
  readonly precedence: number
  readonly cookie: number
}

function parse(value: Uint8Array): PolicyEntry {
  const bits = value[2] as number
  const auth = value[3] as number
  return {
    proxyPort: readU16(value, 0),
    deny: (bits & 1) !== 0,
    prefixLength: bits >>> 3,
    authType: auth & 0x7f,
    hasExplicitAuth: (auth & 0x80) !== 0,
    precedence: readLe32(value, 4),
    cookie: readLe32(value, 8),
  }
}

function lookupEntry(ctx: Ctx, key: Uint8Array): PolicyEntry | undefined {
  const map = present(ctx.maps.policy, 'an object that asks for policy has a policy map')
  const value = ctx.lookup(map, key)
  return value === undefined ? undefined : parse(value)
}

/** The port that ICMP is asked with: its type, where ICMP rules are on. -1: always allowed. Or a drop reason. */
function icmpPort(ctx: Ctx, tuple: Tuple, l4Offset: number): number {
  const { allow_icmp_frag_needed, enable_icmp_rule } = ctx.node
  if (tuple.family !== ipv4) {
    if (!enable_icmp_rule) return tuple.dport
    return ctx.load(l4Offset, 1)?.[0] ?? drop.INVALID
  }
  if (!allow_icmp_frag_needed && !enable_icmp_rule) return tuple.dport
  const header = ctx.load(l4Offset, icmpHeaderBytes)
  if (header === undefined) return drop.INVALID
  const [type, code] = header
  if (allow_icmp_frag_needed && type === unreachable && code === fragmentationNeeded) return alwaysAllowed
  return enable_icmp_rule ? (type as number) : tuple.dport
}

const alwaysAllowed = -1

/** __policy_check(): what the chosen entry says; `other` has no higher precedence and may demand authentication. */
function check(ctx: Ctx, chosen: PolicyEntry, other: PolicyEntry | undefined, answer: PolicyVerdict): void {
  answer.cookie = chosen.cookie
  if (chosen.deny) {
    answer.verdict = drop.POLICY_DENY
    return
  }
  answer.proxyPort = chosen.proxyPort
  let { authType } = chosen
  if (other !== undefined && other.precedence === chosen.precedence && !chosen.hasExplicitAuth) {
    authType = Math.max(authType, other.authType)
  }
  if (authType === 0) return
  ctx.extErr = authType
  answer.verdict = drop.POLICY_AUTH_REQUIRED
}

function matchOfIdentity(prefixLength: number): number {
  if (prefixLength > protocolPrefixBits) return policyMatch.L3_L4
  return prefixLength > 0 ? policyMatch.L3_PROTO : policyMatch.L3_ONLY
}

function matchOfAny(prefixLength: number): number {
  if (prefixLength === 0) return policyMatch.ALL
  return prefixLength <= protocolPrefixBits ? policyMatch.PROTO_ONLY : policyMatch.L4_ONLY
}

/** Whether the entry for all identities goes before the one for this identity. */
function prefersAny(entry: PolicyEntry | undefined, any: PolicyEntry): boolean {
  if (entry === undefined || any.precedence > entry.precedence) return true
  return any.precedence === entry.precedence && any.prefixLength > entry.prefixLength
}

/** __policy_can_access() */
function policyCanAccess(ctx: Ctx, question: PolicyQuestion, egress: boolean): PolicyVerdict {
  const { remote, tuple } = question
  const answer: PolicyVerdict = {
    verdict: 0,
    match: policyMatch.NONE,
    audited: false,
    proxyPort: 0,
    cookie: 0,
  }
  const icmp = tuple.nexthdr === tuple.family.icmp
  const port = icmp ? icmpPort(ctx, tuple, question.l4Offset) : tuple.dport
  if (port === alwaysAllowed) return answer
  if (port < 0) {
    answer.verdict = port
    return answer
  }
  const key = new Uint8Array(keyBytes)
  writeLe32(key, 0, fullPrefix)
  writeLe32(key, 4, remote)
  key[8] = egress ? 1 : 0
  key[9] = tuple.nexthdr
  writeU16(key, 10, port)
  const entry = lookupEntry(ctx, key)
  if (entry?.precedence === maxPrecedence) {
    answer.match = matchOfIdentity(entry.prefixLength)
    check(ctx, entry, undefined, answer)
    return answer
  }
  writeLe32(key, 4, 0)
  const any = lookupEntry(ctx, key)
  if (any !== undefined && prefersAny(entry, any)) {
    answer.match = matchOfAny(any.prefixLength)
    check(ctx, any, entry, answer)
  } else if (entry !== undefined) {
    answer.match = matchOfIdentity(entry.prefixLength)
    check(ctx, entry, any, answer)
  } else {
    answer.verdict = question.untrackedFragment ? drop.FRAG_NOSUPPORT : drop.POLICY
  }
  return answer
}

/** In audit mode nothing is denied, only noted. */
function audited(ctx: Ctx, answer: PolicyVerdict): PolicyVerdict {
  if (ctx.node.POLICY_AUDIT_MODE && isError(ctx, answer.verdict)) {
    answer.verdict = ctx.act.OK
    answer.audited = true
  }
  return answer
}

/** policy_can_ingress4(), policy_can_ingress6() */
export function policyCanIngress(ctx: Ctx, question: PolicyQuestion): PolicyVerdict {
  return audited(ctx, policyCanAccess(ctx, question, false))
}

/** policy_can_egress4(), policy_can_egress6(): `source` is this endpoint's identity. */
export function policyCanEgress(ctx: Ctx, source: number, question: PolicyQuestion): PolicyVerdict {
  const { tuple } = question
  const encapsulated = tuple.nexthdr === protocolNumber.UDP && tuple.dport === ctx.node.TUNNEL_PORT
  if (ctx.node.HAVE_ENCAP && source !== identity.HOST_ID && encapsulated) {
    // not even audit mode lets a pod make tunnel packets
    return {
      verdict: drop.ENCAP_PROHIBITED,
      match: policyMatch.NONE,
      audited: false,
      proxyPort: 0,
      cookie: 0,
    }
  }
  return audited(ctx, policyCanAccess(ctx, { ...question, untrackedFragment: false }, true))
}
