import { expect, test } from 'vitest'
import { compactFlow } from './hubble-compact.ts'

const ends = {
  time: '1970-01-12T00:20:34.567890Z',
  IP: { source: '1.1.1.1', destination: '2.2.2.2', ipVersion: 'IPv4' },
  l4: { TCP: { source_port: 31793, destination_port: 8080 } },
  source: { identity: 4 },
  destination: { identity: 12345 },
  verdict: 'DROPPED',
  event_type: { type: 1, sub_type: 133 },
  Summary: 'TCP Flags: SYN',
}
const told = (more: object): string => compactFlow({ flow: { ...ends, ...more } })

test('a drop: nobody knows which way it went, reserved identities have names', () => {
  expect(told({})).toBe(
    'Jan 12 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) Policy denied DROPPED (TCP Flags: SYN)',
  )
})

test('a reply is told from the side of who began', () => {
  const trace = { verdict: 'FORWARDED', event_type: { type: 4 }, is_reply: true }
  expect(told({ ...trace, time: '1970-01-01T00:00:00Z' })).toBe(
    'Jan  1 00:00:00.000: 2.2.2.2:8080 (ID:12345) <- 1.1.1.1:31793 (health) to-endpoint FORWARDED (TCP Flags: SYN)',
  )
  expect(told({ ...trace, is_reply: false })).toContain('1.1.1.1:31793 (health) -> 2.2.2.2:8080')
})

test('verdicts of policies have their own words', () => {
  const verdict = { event_type: { type: 5 }, traffic_direction: 'INGRESS', auth_type: 'SPIRE' }
  expect(told({ ...verdict, policy_match_type: 2, verdict: 'REDIRECTED', is_reply: false })).toContain(
    ' policy-verdict:L3-L4 INGRESS ALLOWED (TCP Flags: SYN; Auth: SPIRE)',
  )
  expect(told(verdict)).toContain(' policy-verdict:none INGRESS DENIED ')
})

test('pods, names and messages of layer 7', () => {
  const dns = {
    IP: { source: 'fd00::1', destination: 'fd00::2' },
    l4: { UDP: { source_port: 5, destination_port: 53 } },
    source: { identity: 300, namespace: 'default', pod_name: 'web' },
    destination_names: ['a.example', 'b.example'],
    l7: { type: 'REQUEST', dns: { observation_source: 'proxy' } },
    event_type: { type: 129 },
    verdict: 'FORWARDED',
    is_reply: false,
    Summary: 'DNS Query a.example. A',
  }
  expect(told(dns)).toContain(
    ': default/web:5 (ID:300) -> a.example,b.example:53 (ID:12345) dns-request proxy FORWARDED (DNS Query a.example. A)',
  )
  expect(told({ ...dns, destination_names: [], l4: {} })).toContain(
    'default/web (ID:300) -> fd00::2 (ID:12345)',
  )
  expect(told({ IP: undefined, l4: undefined, ethernet: { source: 'a', destination: 'b' } })).toContain(
    ': a (health) <> b (',
  )
})
