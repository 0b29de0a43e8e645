import { describe, expect, test } from 'vitest'
import { addPolicy, datapathLab, frame, type PolicyRule, packetTuple } from '../test-support/lab.ts'
import type { NodeValues } from './config.ts'
import { drop } from './drop-reason.ts'
import { policyMatch } from './notify.ts'
import { policyCanEgress, policyCanIngress } from './policy.ts'

const web = { identity: 5002, protocol: 6, port: 80, prefix: 24 } as const

/** Ingress from an identity to a TCP port, under these rules. */
function ask(rules: readonly PolicyRule[], remote: number, port: number, protocol = 6) {
  const lab = datapathLab()
  for (const rule of rules) addPolicy(lab.policy, rule)
  const tuple = packetTuple('10.0.2.20', '10.0.1.10', protocol)
  tuple.dport = port
  const packet = frame('10.0.2.20', '10.0.1.10', { kind: 'tcp', source: 40_000, destination: port })
  return lab.run(packet, (ctx) => ({
    ...policyCanIngress(ctx, { remote, tuple, l4Offset: 34, untrackedFragment: false }),
    extErr: ctx.extErr,
  })).result
}

describe('which entry is chosen (facts 5.4)', () => {
  test('without an entry the packet is denied', () => {
    expect(ask([], 5002, 80)).toMatchObject({ verdict: drop.POLICY, match: policyMatch.NONE })
  })

  test.each([
    ['identity and port', 5002, 80, 0],
    ['another port', 5002, 81, drop.POLICY],
    ['another identity', 5003, 80, drop.POLICY],
  ])('a rule for identity and port: %s', (_, remote, port, verdict) => {
    expect(ask([web], remote, port).verdict).toBe(verdict)
  })

  test.each([
    [{ prefix: 0 }, policyMatch.ALL],
    [{ identity: 5002, prefix: 0 }, policyMatch.L3_ONLY],
    [{ identity: 5002, protocol: 6, prefix: 8 }, policyMatch.L3_PROTO],
    [web, policyMatch.L3_L4],
    [{ protocol: 6, prefix: 8 }, policyMatch.PROTO_ONLY],
    [{ protocol: 6, port: 80, prefix: 24 }, policyMatch.L4_ONLY],
  ])('%o is reported as match %i', (rule, match) => {
    expect(ask([rule], 5002, 80)).toMatchObject({ verdict: 0, match })
  })

  test('a prefix of ports: 80 to 83', () => {
    const rule = { ...web, prefix: 22 }
    expect([80, 83, 84].map((port) => ask([rule], 5002, port).verdict)).toEqual([0, 0, drop.POLICY])
  })

  test('a denying entry has the highest precedence, on either side', () => {
    const anyone = { protocol: 6, port: 80, prefix: 24 } as const
    expect(ask([{ ...web, deny: true }, anyone], 5002, 80).verdict).toBe(drop.POLICY_DENY)
    expect(ask([web, { ...anyone, deny: true }], 5002, 80).verdict).toBe(drop.POLICY_DENY)
  })

  test('of equal precedence the longer prefix decides, else the identity', () => {
    const identityOnly = { identity: 5002, prefix: 0, cookie: 1 }
    const portOnly = { protocol: 6, port: 80, prefix: 24, cookie: 2 }
    expect(ask([identityOnly, portOnly], 5002, 80).cookie).toBe(2)
    expect(ask([{ ...web, cookie: 1 }, portOnly], 5002, 80).cookie).toBe(1)
  })

  test('a higher precedence goes before a longer prefix', () => {
    const redirect = { identity: 5002, prefix: 0, proxyPort: 10_001, precedence: 0xffff_ff02 }
    expect(ask([redirect, { protocol: 6, port: 80, prefix: 24 }], 5002, 80).proxyPort).toBe(10_001)
  })
})

describe('authentication', () => {
  test('an entry may demand it; its type is the extended error', () => {
    const answer = ask([{ ...web, authType: 1, explicitAuth: true }], 5002, 80)
    expect([answer.verdict, answer.extErr]).toEqual([drop.POLICY_AUTH_REQUIRED, 1])
  })

  test('the other entry of the same precedence lends its type to one without its own', () => {
    const wide = { identity: 5002, prefix: 0, authType: 1, explicitAuth: true }
    const narrow = { protocol: 6, port: 80, prefix: 24 }
    expect(ask([wide, narrow], 5002, 80).verdict).toBe(drop.POLICY_AUTH_REQUIRED)
    expect(ask([wide, { ...narrow, explicitAuth: true }], 5002, 80).verdict).toBe(0)
  })
})

describe('ICMP', () => {
  const icmp = (
    type: number,
    code: number,
    rules: readonly PolicyRule[],
    values: Partial<NodeValues> = {},
  ) => {
    const lab = datapathLab({ values })
    for (const rule of rules) addPolicy(lab.policy, rule)
    const packet = frame('10.0.2.20', '10.0.1.10', { kind: 'icmp', type, code })
    const tuple = packetTuple('10.0.2.20', '10.0.1.10', 1)
    const question = { remote: 5002, tuple, l4Offset: 34, untrackedFragment: false }
    return lab.run(packet, (ctx) => policyCanIngress(ctx, question)).result.verdict
  }

  test('its type stands where a port would', () => {
    expect(icmp(8, 0, [{ protocol: 1, port: 8, prefix: 24 }])).toBe(0)
    expect(icmp(13, 0, [{ protocol: 1, port: 8, prefix: 24 }])).toBe(drop.POLICY)
  })

  test('fragmentation needed always passes, unless that is switched off', () => {
    expect(icmp(3, 4, [])).toBe(0)
    expect(icmp(3, 4, [], { allow_icmp_frag_needed: false })).toBe(drop.POLICY)
    expect(icmp(3, 1, [])).toBe(drop.POLICY)
  })
})

describe('egress', () => {
  const tunnelPacket = (defines: Parameters<typeof datapathLab>[0]) => {
    const lab = datapathLab(defines)
    addPolicy(lab.policy, { egress: true, prefix: 0 })
    const tuple = packetTuple('10.0.1.10', '10.0.2.20', 17)
    tuple.dport = 8472
    const packet = frame('10.0.1.10', '10.0.2.20', { kind: 'udp', source: 1, destination: 8472 })
    const question = { remote: 5002, tuple, l4Offset: 34, untrackedFragment: false }
    return lab.run(packet, (ctx) => policyCanEgress(ctx, 5001, question)).result
  }

  test('no pod may make tunnel packets, whatever its policy', () => {
    expect(tunnelPacket({ defines: ['HAVE_ENCAP'] }).verdict).toBe(drop.ENCAP_PROHIBITED)
    expect(tunnelPacket({ defines: [] }).verdict).toBe(0)
  })

  test('audit mode does not let them pass either', () => {
    const answer = tunnelPacket({ defines: ['HAVE_ENCAP', 'POLICY_AUDIT_MODE'] })
    expect([answer.verdict, answer.audited]).toEqual([drop.ENCAP_PROHIBITED, false])
  })
})

test('audit mode lets denied packets pass and says so', () => {
  const lab = datapathLab({ defines: ['POLICY_AUDIT_MODE'] })
  const tuple = packetTuple('10.0.2.20', '10.0.1.10', 6)
  const packet = frame('10.0.2.20', '10.0.1.10', { kind: 'tcp', source: 1, destination: 80 })
  const question = { remote: 5002, tuple, l4Offset: 34, untrackedFragment: false }
  expect(lab.run(packet, (ctx) => policyCanIngress(ctx, question)).result).toMatchObject({
    verdict: 0,
    audited: true,
  })
})

test('a later fragment without ports is denied for that reason', () => {
  const lab = datapathLab()
  const tuple = packetTuple('10.0.2.20', '10.0.1.10', 17)
  const packet = frame('10.0.2.20', '10.0.1.10', { kind: 'udp', source: 1, destination: 80 })
  const question = { remote: 5002, tuple, l4Offset: 34, untrackedFragment: true }
  expect(lab.run(packet, (ctx) => policyCanIngress(ctx, question)).result.verdict).toBe(drop.FRAG_NOSUPPORT)
})
