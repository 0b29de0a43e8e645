// What `scn show` prints of the rules, flows and sysctls of a router.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Workplace, workplace } from './support/command.ts'

const nat = `scn 1

doc "A router that masquerades."

topology {
  netns a { dev eth0 10.1.0.2/24 peer r/a0; route default via 10.1.0.1 }
  netns r {
    dev a0 10.1.0.1/24 peer a/eth0
    dev b0 10.2.0.1/24 peer b/eth0
    sysctl net.ipv4.ip_forward = 1
    iptables """
    *nat
    -A POSTROUTING -s 10.1.0.0/24 -o b0 -j MASQUERADE
    COMMIT
    *filter
    :FORWARD DROP [0:0]
    -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A FORWARD -i a0 -j ACCEPT
    COMMIT
    """
  }
  netns b { dev eth0 10.2.0.2/24 peer r/b0; listen tcp 80 }
}

scenario s "three flows" {
  f1: tcp a:40000 > b:80 { open }
  f2: udp a:40001 > b:53 { send 5 }
  f3: icmp a > b { ping }
}
`

let place: Workplace

beforeAll(() => {
  place = workplace({ 'nat.scn': nat })
})

afterAll(() => place.remove())

const shown = async (command: string): Promise<readonly string[]> => {
  const { out } = await place.scn(['show', 'nat.scn', command, '--node', 'r'])
  return out.split('\n').filter((line) => line !== '')
}

test('conntrack -L', async () => {
  expect(await shown('conntrack -L')).toEqual([
    'tcp      6 432000 ESTABLISHED src=10.1.0.2 dst=10.2.0.2 sport=40000 dport=80 src=10.2.0.2 dst=10.2.0.1 sport=80 dport=40000 [ASSURED] mark=0 use=1',
    'udp      17 30 src=10.1.0.2 dst=10.2.0.2 sport=40001 dport=53 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 sport=53 dport=40001 mark=0 use=1',
    'icmp     1 30 src=10.1.0.2 dst=10.2.0.2 type=8 code=0 id=0 src=10.2.0.2 dst=10.2.0.1 type=0 code=0 id=0 mark=0 use=1',
  ])
})

test('conntrack -L -p udp', async () => expect(await shown('conntrack -L -p udp')).toHaveLength(1))

test('iptables-save -c -t filter', async () => {
  const lines = await shown('iptables-save -c -t filter')
  expect(lines[0]).toBe('*filter')
  expect(lines).toContain(':FORWARD DROP [0:0]')
  expect(lines.filter((line) => line.startsWith('['))).toEqual([
    expect.stringMatching(/^\[\d+:\d+\] -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT$/),
    expect.stringMatching(/^\[3:\d+\] -A FORWARD -i a0 -j ACCEPT$/),
  ])
})

test.each([
  [
    'sysctl net.ipv4.ip_forward net.ipv4.ip_local_port_range',
    'net.ipv4.ip_forward = 1\nnet.ipv4.ip_local_port_range = 32768\t60999\n',
    '',
  ],
  ['sysctl net.ipv4.conf.a0.rp_filter', 'net.ipv4.conf.a0.rp_filter = 0\n', ''],
  [
    'sysctl net.ipv4.conf.a1.rp_filter',
    '',
    'sysctl: cannot stat /proc/sys/net/ipv4/conf/a1/rp_filter: No such file or directory\n',
  ],
  ['sysctl net.foo', '', 'sysctl: cannot stat /proc/sys/net/foo: No such file or directory\n'],
  ['nft list table ip t', '', 'Error: No such file or directory\n'],
  ['', '', "scn: `scn show` needs a command: scn show SPEC 'ip route'\n"],
])('%s answers as the tool does', async (command, out, err) => {
  expect(await place.scn(['show', 'nat.scn', command, '--node', 'r'])).toMatchObject({ out, err })
})

test('iptables -t nat -S', async () => {
  expect(await shown('iptables -t nat -S')).toEqual([
    '-P PREROUTING ACCEPT',
    '-P INPUT ACCEPT',
    '-P OUTPUT ACCEPT',
    '-P POSTROUTING ACCEPT',
    '-A POSTROUTING -s 10.1.0.0/24 -o b0 -j MASQUERADE',
  ])
})
