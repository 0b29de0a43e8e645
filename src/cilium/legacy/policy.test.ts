// Facts 5: four exact lookups, the first hit decides.
import { describe, expect, test } from 'vitest'
import { drop } from '../datapath/drop-reason.ts'
import { policyMatch } from '../datapath/notify.ts'
import { readLe64 } from '../maps/ct-entry.ts'
import { addLegacyPolicy, type LegacyPolicyRule } from '../test-support/entries.ts'
import {
  type DatapathLab,
  datapathLab,
  frame,
  keysOf,
  packetTuple,
  usualDefines,
} from '../test-support/lab.ts'
import { policyCanEgress, policyCanIngress, policyMarkSkip } from './policy.ts'

const { NONE, L3_ONLY, L3_L4, L4_ONLY, ALL } = policyMatch
const web = 5002

function lab(
  rules: readonly LegacyPolicyRule[],
  ...defines: readonly (typeof usualDefines)[number][]
): DatapathLab {
  const on = datapathLab({ legacy: true, defines: [...usualDefines, ...defines] })
  for (const rule of rules) addLegacyPolicy(on.policy, rule)
  return on
}

const packet = frame('10.0.1.10', '10.0.2.20', { kind: 'tcp', source: 40_000, destination: 80 })

function ask(
  on: DatapathLab,
  options: {
    readonly egress?: boolean
    readonly port?: number
    readonly udp?: boolean
    readonly untracked?: boolean
    readonly skip?: boolean
  } = {},
) {
  return on.run(packet, (ctx) => {
    const tuple = packetTuple('10.0.1.10', '10.0.2.20', options.udp === true ? 17 : 6)
    tuple.dport = options.port ?? 80
    if (options.skip === true) policyMarkSkip(ctx)
    const question = { remote: web, tuple, l4Offset: 34, untrackedFragment: options.untracked === true }
    return options.egress === true ? policyCanEgress(ctx, 5001, question) : policyCanIngress(ctx, question)
  }).result
}

const exact: LegacyPolicyRule = { identity: web, protocol: 6, port: 80 }
const port: LegacyPolicyRule = { protocol: 6, port: 80 }
const identity: LegacyPolicyRule = { identity: web }

describe('the first of four entries decides', () => {
  test.each<[string, readonly LegacyPolicyRule[], number, number]>([
    ['identity and port', [exact, { ...port, deny: true }, { ...identity, deny: true }], 0, L3_L4],
    ['the port', [port, { ...identity, deny: true }], 0, L4_ONLY],
    ['the identity', [identity, { deny: true }], 0, L3_ONLY],
    ['everything', [{}], 0, ALL],
    ['a denial of identity and port', [{ ...exact, deny: true }, {}], drop.POLICY_DENY, L3_L4],
    ['a denial by identity is hidden by a port', [port, { ...identity, deny: true }], 0, L4_ONLY],
    ['nothing', [], drop.POLICY, NONE],
    ['the other direction does not count', [{ egress: true }], drop.POLICY, NONE],
    ['another protocol does not count', [{ ...port, protocol: 17 }], drop.POLICY, NONE],
  ])('%s', (_name, rules, verdict, match) => {
    expect(ask(lab(rules))).toEqual({ verdict, match, audited: false })
  })
})

test('a proxy is named by entries with a port only, in network order', () => {
  const proxyPort = 10_001
  expect(ask(lab([{ ...exact, proxyPort }])).verdict).toBe(0x1127)
  expect(ask(lab([{ ...identity, proxyPort }])).verdict).toBe(0)
})

test('the entry counts the packet', () => {
  const on = lab([exact])
  ask(on)
  ask(on)
  const entry = on.policy.lookup(keysOf(on.policy)[0] as Uint8Array, 0) as Uint8Array
  expect([readLe64(entry, 8), readLe64(entry, 16)]).toEqual([2, 2 * packet.length])
})

test('an untracked fragment is looked up without its port', () => {
  expect(ask(lab([exact]), { untracked: true }).verdict).toBe(drop.FRAG_NOSUPPORT)
  expect(ask(lab([identity]), { untracked: true })).toMatchObject({ verdict: 0, match: L3_ONLY })
})

test('a packet that is marked passes without an entry', () => {
  expect(ask(lab([]), { skip: true })).toEqual({ verdict: 0, match: NONE, audited: false })
})

describe('a pod may not send tunnel packets', () => {
  test.each([8472, 6081, 4789])('to UDP port %i', (tunnelPort) => {
    const on = lab([{ egress: true }], 'HAVE_ENCAP')
    const asked = { egress: true, port: tunnelPort, udp: true }
    expect(ask(on, asked).verdict).toBe(drop.ENCAP_PROHIBITED)
    expect(ask(on, { ...asked, udp: false }).verdict).toBe(0)
    expect(ask(lab([{ egress: true }]), asked).verdict).toBe(0)
  })
})

test('audit mode lets everything pass but tunnel packets, and says so', () => {
  const on = lab([{ ...exact, deny: true }], 'POLICY_AUDIT_MODE', 'HAVE_ENCAP')
  expect(ask(on)).toEqual({ verdict: 0, match: L3_L4, audited: true })
  expect(ask(on, { egress: true, port: 8472, udp: true }).verdict).toBe(drop.ENCAP_PROHIBITED)
})

test('path MTU discovery is always allowed', () => {
  const on = lab([])
  const tooBig = frame('10.0.2.20', '10.0.1.10', { kind: 'icmp', type: 3, code: 4, rest: 0 })
  const unreachable = frame('10.0.2.20', '10.0.1.10', { kind: 'icmp', type: 3, code: 1, rest: 0 })
  const verdict = (bytes: Uint8Array): number =>
    on.run(bytes, (ctx) => {
      const tuple = packetTuple('10.0.2.20', '10.0.1.10', 1)
      return policyCanIngress(ctx, { remote: web, tuple, l4Offset: 34, untrackedFragment: false }).verdict
    }).result
  expect([verdict(tooBig), verdict(unreachable)]).toEqual([0, drop.POLICY])
})
