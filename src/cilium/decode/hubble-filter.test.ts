import { describe, expect, test } from 'vitest'
import { readFlowFilter } from './hubble-filter.ts'

const ip = (source: string, destination: string) => ({ source, destination, ipVersion: 'IPv4' })
const client = { identity: 11763, namespace: 'default', pod_name: 'client' }
const web = { identity: 41867, namespace: 'shop', pod_name: 'web-1' }
const world = { identity: 2 }

const flows = {
  allowed: {
    verdict: 'FORWARDED',
    IP: ip('10.0.1.10', '10.0.2.20'),
    l4: { UDP: { source_port: 40_000, destination_port: 53 } },
    source: client,
    destination: web,
    event_type: { type: 5 },
    traffic_direction: 'EGRESS',
  },
  seen: {
    verdict: 'FORWARDED',
    IP: ip('10.0.1.10', '10.0.2.20'),
    l4: { UDP: { source_port: 40_000, destination_port: 53 } },
    source: client,
    destination: web,
    event_type: { type: 4 },
  },
  answered: {
    verdict: 'FORWARDED',
    IP: ip('10.0.2.20', '10.0.1.10'),
    l4: { UDP: { source_port: 53, destination_port: 40_000 } },
    source: web,
    destination: client,
    event_type: { type: 4, sub_type: 4 },
  },
  dropped: {
    verdict: 'DROPPED',
    drop_reason_desc: 'POLICY_DENIED',
    IP: ip('8.8.8.8', '10.0.2.20'),
    l4: { ICMPv4: { type: 8 } },
    source: world,
    destination: web,
    event_type: { type: 1, sub_type: 133 },
  },
  request: {
    verdict: 'FORWARDED',
    l7: { type: 'REQUEST', http: { method: 'GET' } },
    source: client,
    destination: web,
    event_type: { type: 129 },
  },
}

function chosen(words: string): readonly string[] {
  const filter = readFlowFilter(words.split(' ').filter((word) => word !== ''))
  if (filter.kind !== 'filter') throw new Error(JSON.stringify(filter))
  return Object.entries(flows).flatMap(([name, flow]) => (filter.holds({ flow }) ? [name] : []))
}

describe('which flows are shown', () => {
  test.each([
    ['', ['allowed', 'seen', 'answered', 'dropped', 'request']],
    ['--pod client', ['allowed', 'seen', 'answered', 'request']],
    ['--from-pod client', ['allowed', 'seen', 'request']],
    ['--to-pod shop/web-', ['allowed', 'seen', 'dropped', 'request']],
    // a name alone is one of `default`
    ['--to-pod web-1', []],
    ['--from-pod client --to-pod shop/', ['allowed', 'seen', 'request']],
    // the two ends of --pod and --port go together
    ['--pod client --port 40000', ['allowed', 'seen', 'answered']],
    ['--pod client --port 53', []],
    ['--to-port=53', ['allowed', 'seen']],
    ['--from-ip 8.8.0.0/16', ['dropped']],
    ['--ip 10.0.1.10', ['allowed', 'seen', 'answered']],
    ['--from-identity world', ['dropped']],
    ['--identity 11763', ['allowed', 'seen', 'answered', 'request']],
    ['--verdict DROPPED', ['dropped']],
    ['--verdict DROPPED --verdict FORWARDED --type drop --type l7', ['dropped', 'request']],
    ['-t trace', ['seen', 'answered']],
    ['--type trace:to-overlay', ['answered']],
    ['--type trace:to-endpoint', ['seen']],
    ['--type 1:133', ['dropped']],
    ['--protocol icmp', ['dropped']],
    ['--protocol UDP --protocol http', ['allowed', 'seen', 'answered', 'request']],
    ['--traffic-direction egress', ['allowed']],
    ['--drop-reason-desc POLICY_DENIED', ['dropped']],
    ['-4 --not --pod client', ['dropped']],
    ['--ipv6', []],
    ['--not --type trace --not --verdict FORWARDED', ['allowed', 'dropped', 'request']],
  ])('%s', (words, names) => {
    expect(chosen(words)).toEqual(names)
  })
})

describe('what is no filter', () => {
  test.each([
    ['--verdict dropped', 'dropped'],
    ['--colour red', '--colour'],
    ['--pod', '--pod'],
    ['--port 70000', '70000'],
    ['--type trace:nowhere', 'trace:nowhere'],
    ['--ip 10.0.0', '10.0.0'],
    ['--protocol foo', 'foo'],
    ['--not', '--not'],
    ['--not --not --pod a', '--not'],
    ['client', 'client'],
  ])('%s', (words, word) => {
    expect(readFlowFilter(words.split(' '))).toEqual({ kind: 'wrong', word })
  })
  test('two that ask for the same end', () => {
    expect(readFlowFilter(['--pod', 'a', '--to-ip', '1.1.1.1'])).toEqual({
      kind: 'conflict',
      message: 'filters --to-ip and --pod cannot be combined',
    })
  })
})
