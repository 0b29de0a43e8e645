// br_netfilter: the order of hooks and devices of facts/linux 5.4 and 5.5. P1 10.4.0.11 - v1 [cni0 10.4.0.1] v2 - P2
// 10.4.0.12, chains and taps of the host written down.
import { expect, test } from 'vitest'
import { at } from '../../../test/tunnel-lab.ts'
import { parsePrefix } from '../../net/prefix.ts'
import { addAddress } from '../ip/admin-address.ts'
import { addNeighbour } from '../ip/admin-neighbour.ts'
import { addRoute } from '../ip/admin-route.ts'
import { createMachine, type Machine } from '../machine.ts'
import { addNamespace, type Namespace } from '../namespace.ts'
import { type HookName, priority } from '../netfilter/hook.ts'
import { attachIptables } from '../netfilter/iptables.ts'
import { parseRuleset } from '../netfilter/parse.ts'
import type { Skb } from '../skb.ts'
import { failed } from '../socket/errno.ts'
import { udpBind, udpOpen, udpSend } from '../socket/udp.ts'
import { udpReceive } from '../socket/udp-read.ts'
import type { UdpSocket } from '../socket/udp-socket.ts'
import { addBridge, setMaster } from './bridge.ts'
import { addTap, setMtu, setUp } from './change.ts'
import type { NetDevice } from './device.ts'
import { addVethPair } from './veth.ts'

interface Yard {
  readonly machine: Machine
  readonly host: Namespace
  readonly pods: readonly Namespace[]
  readonly seen: string[]
}

function address(dev: NetDevice, text: string): void {
  const prefix = parsePrefix(text)
  if (prefix !== undefined) addAddress(dev, prefix)
}

const hooks: readonly HookName[] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']

function watch(host: Namespace, seen: string[]): void {
  for (const hook of hooks) {
    const run = (
      _ns: Namespace,
      skb: Skb,
      devices: { readonly in: NetDevice | undefined; readonly out: NetDevice | undefined },
    ): 'accept' => {
      const ways = `${devices.in?.name ?? '-'} ${devices.out?.name ?? '-'}`
      const ports = skb.bridged === undefined ? '' : ` ${skb.physin?.name ?? '-'} ${skb.physout?.name ?? '-'}`
      seen.push(`${hook} ${ways}${ports} type ${skb.pktType} ttl ${skb.bytes[skb.networkHeader + 8]}`)
      return 'accept'
    }
    host.netfilter.register({ family: 4, hook, priority: priority.raw, run })
  }
  for (const dev of host.devices.values()) {
    addTap(dev, (_dev, skb, direction) => seen.push(`${dev.name} ${direction} type ${skb.pktType}`))
  }
}

function yard(calls: 0 | 1, options: { readonly rules?: string; readonly hairpin?: boolean } = {}): Yard {
  const machine = createMachine({ seed: 1, trace: { full: false } })
  const host = addNamespace(machine, { name: 'H' })
  host.sysctls.set('net.ipv4.ip_forward', 1)
  host.sysctls.set('net.bridge.bridge-nf-call-iptables', calls)
  const bridge = addBridge(host, { name: 'cni0', mac: 0x0200_0000_ff01 })
  const pods = [1, 2].map((n) => {
    const pod = addNamespace(machine, { name: `P${n}` })
    const [port, eth0] = addVethPair(
      { ns: host, name: `v${n}` },
      { ns: pod, name: 'eth0', mac: 0x0200_0000_0010 + n },
    )
    setMaster(port, bridge, { hairpin: options.hairpin ?? false })
    for (const dev of [port, eth0]) setUp(dev)
    return pod
  })
  setUp(bridge)
  address(bridge, '10.4.0.1/24')
  pods.forEach((pod, index) => {
    const eth0 = pod.devicesByName.get('eth0') as NetDevice
    address(eth0, `10.4.0.1${index + 1}/24`)
    addNeighbour(eth0, at('10.4.0.1'), { mac: bridge.mac })
    addNeighbour(eth0, at(`10.4.0.1${2 - index}`), { mac: 0x0200_0000_0012 - index })
    addNeighbour(bridge, at(`10.4.0.1${index + 1}`), { mac: eth0.mac })
    addRoute(pod, {
      prefix: parsePrefix('0.0.0.0/0')!,
      nextHops: [{ gateway: at('10.4.0.1'), device: eth0, onlink: false }],
    })
  })
  machine.clock.drain()
  const seen: string[] = []
  watch(host, seen)
  if (options.rules !== undefined) {
    const parsed = parseRuleset(options.rules, 4)
    if (!parsed.ok) throw new Error(parsed.problems[0]?.message)
    attachIptables(host, 4, parsed.ruleset)
  }
  return { machine, host, pods, seen }
}

function bound(ns: Namespace | undefined, text: string, port: number): UdpSocket {
  const opened = udpOpen({ ns: ns as Namespace, family: 4, label: `s${port}` })
  if (failed(opened)) throw new Error(opened.errno)
  const answer = udpBind(opened.ok, { address: at(text), port })
  if (failed(answer)) throw new Error(answer.errno)
  return opened.ok
}

function send({ machine }: Yard, from: UdpSocket, to: string, port: number, bytes = 1): void {
  udpSend(from, new Uint8Array(bytes), { to: { address: at(to), port } })
  machine.clock.drain()
}

/** Both pods' MAC addresses are known to the bridge from here on. */
function warm(lab: Yard): { readonly p1: UdpSocket; readonly p2: UdpSocket } {
  const p1 = bound(lab.pods[0], '10.4.0.11', 5000)
  const p2 = bound(lab.pods[1], '10.4.0.12', 7000)
  send(lab, p2, '10.4.0.11', 5000)
  send(lab, p1, '10.4.0.12', 7000)
  while (!failed(udpReceive(p1))) {}
  while (!failed(udpReceive(p2))) {}
  lab.seen.length = 0
  return { p1, p2 }
}

test('5.4: off, no chain runs for bridged frames', () => {
  const lab = yard(0)
  const { p1, p2 } = warm(lab)
  send(lab, p1, '10.4.0.12', 7000)
  expect(lab.seen).toEqual(['v1 in type 3', 'v2 out type 4'])
  expect(p2.queue.length).toBe(1)
})

test('5.4: on, PREROUTING, FORWARD and POSTROUTING run between the ports, and the TTL stays', () => {
  const lab = yard(1)
  const { p1, p2 } = warm(lab)
  send(lab, p1, '10.4.0.12', 7000)
  expect(lab.seen).toEqual([
    'v1 in type 3',
    'PREROUTING cni0 - v1 - type 0 ttl 64',
    'FORWARD cni0 cni0 v1 v2 type 0 ttl 64',
    'POSTROUTING - cni0 v1 v2 type 0 ttl 64',
    'v2 out type 4',
  ])
  expect(p2.queue.length).toBe(1)
})

test.each([
  [
    1,
    [
      'v1 in type 3',
      'PREROUTING cni0 - v1 - type 0 ttl 64',
      'cni0 in type 0',
      'INPUT cni0 - v1 - type 0 ttl 64',
    ],
  ],
  [0, ['v1 in type 3', 'cni0 in type 0', 'PREROUTING cni0 - type 0 ttl 64', 'INPUT cni0 - type 0 ttl 64']],
] as const)('5.4: with %i PREROUTING of a frame for the bridge runs once', (calls, want) => {
  const lab = yard(calls)
  const { p1 } = warm(lab)
  const server = bound(lab.host, '10.4.0.1', 9000)
  send(lab, p1, '10.4.0.1', 9000)
  expect(lab.seen).toEqual(want)
  expect(server.queue.length).toBe(1)
})

test('5.4: ARP passes no chain', () => {
  const lab = yard(1)
  const { p1 } = warm(lab)
  send(lab, p1, '10.4.0.99', 1)
  expect(lab.seen.some((line) => /ROUTING|FORWARD/.test(line))).toBe(false)
})

const dnat =
  '*nat\n-A PREROUTING -d 10.96.0.1/32 -p udp -m udp --dport 80 -j DNAT --to-destination 10.4.0.12:7000\nCOMMIT\n'

test('5.5: DNAT to the same bridge stays bridged: by the bridge device at first, then straight', () => {
  const lab = yard(1, { rules: dnat })
  const { p1, p2 } = warm(lab)
  send(lab, p1, '10.96.0.1', 80)
  expect(lab.seen).toEqual([
    'v1 in type 3',
    'PREROUTING cni0 - v1 - type 0 ttl 64',
    'cni0 out type 4',
    'FORWARD cni0 cni0 v1 v2 type 0 ttl 64',
    'POSTROUTING - cni0 v1 v2 type 0 ttl 64',
    'v2 out type 4',
  ])
  lab.seen.length = 0
  send(lab, p1, '10.96.0.1', 80)
  expect(lab.seen).not.toContain('cni0 out type 4')
  expect(p2.queue.length).toBe(2)
  expect(lab.host.counters.get('IpForwDatagrams') ?? 0).toBe(0)
})

test('5.5: the answer is turned back inside the bridge', () => {
  const lab = yard(1, { rules: dnat })
  const { p2 } = warm(lab)
  const client = bound(lab.pods[0], '10.4.0.11', 5001)
  send(lab, client, '10.96.0.1', 80)
  send(lab, p2, '10.4.0.11', 5001)
  const answer = client.queue[0]
  expect([answer?.source, answer?.sourcePort]).toEqual([at('10.96.0.1'), 80])
})

test.each([
  ['off', false, 0],
  ['on', true, 1],
] as const)(
  '5.5: a pod that reaches itself with masquerade needs hairpin; %s',
  (_word, hairpin, received) => {
    const rules =
      '*nat\n-A PREROUTING -d 10.96.0.1/32 -p udp -m udp --dport 80 -j DNAT --to-destination 10.4.0.11:5000\n' +
      '-A POSTROUTING -s 10.4.0.11/32 -d 10.4.0.11/32 -j MASQUERADE\nCOMMIT\n'
    const lab = yard(1, { rules, hairpin })
    const { p1 } = warm(lab)
    send(lab, p1, '10.96.0.1', 80)
    expect(p1.queue.length).toBe(received)
    if (received > 0) expect(p1.queue[0]?.source).toBe(at('10.4.0.1'))
  },
)

test('fragments are put together for conntrack, and leave as they came', () => {
  const rules = '*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n'
  const lab = yard(1, { rules })
  const { p1, p2 } = warm(lab)
  for (const pod of lab.pods) setMtu(pod.devicesByName.get('eth0') as NetDevice, 1000)
  send(lab, p1, '10.4.0.12', 7000, 2000)
  expect(lab.seen.filter((line) => line.startsWith('FORWARD')).length).toBe(1)
  expect(lab.seen.filter((line) => line === 'v2 out type 4').length).toBe(3)
  expect(p2.queue[0]?.data.length).toBe(2000)
})
