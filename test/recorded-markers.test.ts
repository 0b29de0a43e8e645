// The markers of the recordings of the real kernel are rules: commands between the steps count them.
import { describe, expect, test } from 'vitest'
import type { RecordedCase } from './recorded/case.ts'
import { play } from './recorded/play.ts'

const ping = {
  op: 'icmp_echo',
  id: 'p',
  ns: 'A',
  dst: '127.0.0.1',
  ident: 7,
  seq: 1,
  ttl: 64,
  payload_len: 8,
}

/** How often filter.INPUT is seen at each of two pings of a host's own, with a command between them. */
function seenAround(command: string): readonly number[] {
  const A = {
    sysctls: { 'net.ipv6.conf.all.disable_ipv6': 1 },
    devices: [{ name: 'lo', kind: 'loopback', up: true }],
    iptables: '*filter\n-A INPUT -p tcp -j DROP\nCOMMIT\n',
  }
  const recorded: RecordedCase = {
    id: 'markers',
    topology: { namespaces: { A }, programs: [] },
    steps: [
      { n: 1, ...ping },
      { n: 2, op: 'config', ns: 'A', command },
      { n: 3, ...ping },
    ],
    events: [],
    final: {},
  }
  const { sightings } = play(recorded)
  const at = (step: number): number =>
    sightings.filter((each) => each.step === step && each.place === 'A:filter.INPUT').length
  return [at(1), at(3)]
}

describe('a marker at the head of a chain', () => {
  test.each([
    // the question and its answer pass the marker
    ['a rule behind it', 'iptables-legacy -w -A INPUT -p icmp -j DROP', [2, 1]],
    ['a rule at the second place', 'iptables-legacy -w -I INPUT 2 -p icmp -j DROP', [2, 1]],
    ['a rule in front of it', 'iptables-legacy -w -I INPUT -p icmp -j DROP', [2, 0]],
    ['the chain emptied', 'iptables-legacy -w -F INPUT', [2, 0]],
  ])('%s', (_name, command, seen) => {
    expect(seenAround(command)).toEqual(seen)
  })
})
