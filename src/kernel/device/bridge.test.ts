import { describe, expect, test } from 'vitest'
import { labFrame, labType, outcomes, packet, program, send } from '../../../test/lab.ts'
import { createMachine, type Machine } from '../machine.ts'
import { addNamespace, type Namespace } from '../namespace.ts'
import { attachTc } from '../tc/attach.ts'
import { addBridge, type PortFlags, releaseMaster, setMaster, setPortFlags } from './bridge.ts'
import { bridgeState } from './bridge-state.ts'
import { addTap, setDown, setMac, setUp } from './change.ts'
import type { NetDevice } from './device.ts'
import { addVethPair } from './veth.ts'

const bridgeMac = 0x0200_0000_ff01
const podMac = (n: number): number => 0x0200_0000_0010 + n
const portMac = (n: number): number => 0x0200_0000_0020 + n
const broadcast = 0xffff_ffff_ffff

interface Yard {
  readonly machine: Machine
  readonly host: Namespace
  readonly bridge: NetDevice
  readonly ports: readonly NetDevice[]
  readonly pods: readonly NetDevice[]
  /** Taps of ports, bridge and pods in the order in which frames pass. */
  readonly seen: string[]
}

function yard(flags: readonly PortFlags[] = [{}, {}, {}], mac: number | 'own' = bridgeMac): Yard {
  const machine = createMachine({ seed: 1, trace: { full: true } })
  machine.protocols.set(labType, () => {})
  const host = addNamespace(machine, { name: 'H' })
  const bridge = addBridge(host, mac === 'own' ? { name: 'cni0' } : { name: 'cni0', mac })
  setUp(bridge)
  const pairs = flags.map((each, index) => {
    const pod = addNamespace(machine, { name: `P${index + 1}` })
    const [port, end] = addVethPair(
      { ns: host, name: `v${index + 1}`, mac: portMac(index + 1) },
      { ns: pod, name: 'eth0', mac: podMac(index + 1) },
    )
    setUp(port)
    setUp(end)
    setMaster(port, bridge, each)
    return [port, end] as const
  })
  const seen: string[] = []
  const ports = pairs.map(([port]) => port)
  const pods = pairs.map(([, end]) => end)
  for (const dev of [...ports, bridge, ...pods])
    addTap(dev, (_dev, skb, direction) => seen.push(`${dev.ns.name}/${dev.name} ${direction} ${skb.pktType}`))
  return { machine, host, bridge, ports, pods, seen }
}

const from1 = (to: number): Uint8Array => labFrame({ to, from: podMac(1) })

// recorded on 6.18: facts/recorded/kernel/fl-l2-flood
describe('a frame from P1', () => {
  test.each([
    {
      what: 'to an unknown address: every other port, newest first, not the host',
      to: 0x0200_0000_00ee,
      seen: ['H/v1 in 3', 'H/v3 out 4', 'H/v2 out 4', 'P3/eth0 in 3', 'P2/eth0 in 3'],
    },
    { what: 'to its own address: nowhere', to: podMac(1), seen: ['H/v1 in 3'] },
    {
      what: 'broadcast: every other port, the host last',
      to: broadcast,
      seen: ['H/v1 in 1', 'H/v3 out 4', 'H/v2 out 4', 'H/cni0 in 1', 'P3/eth0 in 1', 'P2/eth0 in 1'],
    },
    {
      what: 'multicast: like broadcast',
      to: 0x0100_5e00_00fb,
      seen: ['H/v1 in 2', 'H/v3 out 4', 'H/v2 out 4', 'H/cni0 in 2', 'P3/eth0 in 2', 'P2/eth0 in 2'],
    },
    { what: 'to the bridge: the host', to: bridgeMac, seen: ['H/v1 in 3', 'H/cni0 in 0'] },
    {
      what: "to another port's address: the host, as another host's",
      to: portMac(2),
      seen: ['H/v1 in 3', 'H/cni0 in 3'],
    },
  ])('$what', ({ to, seen }) => {
    const made = yard()
    send(made.pods[0]!, from1(to))
    expect(made.seen).toEqual(['P1/eth0 out 4', ...seen])
  })
})

test('what was learned is not flooded, and ages after 300 s', () => {
  const { machine, pods, ports, seen } = yard()
  send(pods[1]!, labFrame({ to: broadcast, from: podMac(2) }))
  seen.length = 0
  send(pods[0]!, from1(podMac(2)))
  expect(seen).toEqual(['P1/eth0 out 4', 'H/v1 in 3', 'H/v2 out 4', 'P2/eth0 in 0'])
  machine.clock.advance(300_000_000_000)
  seen.length = 0
  send(pods[0]!, from1(podMac(2)))
  expect(seen).toContain('H/v3 out 4')
  // a port without carrier forgets at once
  send(pods[1]!, labFrame({ to: broadcast, from: podMac(2) }))
  setDown(pods[1]!)
  const fdb = bridgeState(ports[0]!.master!).fdb
  expect([fdb.has(podMac(2)), fdb.has(portMac(2))]).toEqual([false, true])
})

test('a promiscuous bridge hears what goes to a port it knows, too', () => {
  const { bridge, pods, seen } = yard()
  bridge.promiscuous = true
  send(pods[1]!, labFrame({ to: podMac(1), from: podMac(2) }))
  expect(seen).toContain('H/cni0 in 3')
  seen.length = 0
  send(pods[0]!, from1(podMac(2)))
  expect(seen).toEqual(['P1/eth0 out 4', 'H/v1 in 3', 'H/v2 out 4', 'H/cni0 in 3', 'P2/eth0 in 0'])
})

test('hairpin lets a frame back out of its port; without it the frame is dropped', () => {
  const { machine, pods, ports, seen } = yard()
  send(pods[0]!, from1(podMac(1)))
  expect(outcomes(machine)).toEqual(['dropped H/cni0/bridge SKB_DROP_REASON_NO_TX_TARGET'])
  setPortFlags(ports[0]!, { hairpin: true })
  seen.length = 0
  send(pods[0]!, from1(podMac(1)))
  expect(seen).toEqual(['P1/eth0 out 4', 'H/v1 in 3', 'H/v1 out 4', 'P1/eth0 in 0'])
})

test('isolated ports reach the others but not each other', () => {
  const { pods, seen } = yard([{ isolated: true }, { isolated: true }, {}])
  send(pods[0]!, from1(broadcast))
  expect(seen.filter((line) => line.startsWith('P') && line.includes(' in '))).toEqual(['P3/eth0 in 1'])
})

test('the bridge sends to the port it knows, else to all', () => {
  const { bridge, pods, seen } = yard()
  send(bridge, labFrame({ to: podMac(2), from: bridgeMac }))
  expect(seen.filter((line) => line.includes(' in '))).toEqual([
    'P3/eth0 in 3',
    'P2/eth0 in 0',
    'P1/eth0 in 3',
  ])
  send(pods[1]!, labFrame({ to: bridgeMac, from: podMac(2) }))
  seen.length = 0
  send(bridge, labFrame({ to: podMac(2), from: bridgeMac }))
  expect(seen).toEqual(['H/cni0 out 4', 'H/v2 out 4', 'P2/eth0 in 0'])
})

test('tc egress of the out-port runs, and a redirect to a port goes round the bridge', () => {
  const { machine, pods, ports } = yard()
  attachTc(ports[0]!, 'ingress', {
    kind: 'tcx',
    program: program('r', (context) => {
      context.redirect = { kind: 'device', ifindex: ports[1]!.ifindex, ingress: false }
      return 7
    }),
  })
  attachTc(ports[1]!, 'egress', { kind: 'tcx', program: program('out', -1) })
  send(pods[0]!, from1(podMac(2)))
  const stages = packet(machine).events.map((event) => `${event.device}/${event.stage}`)
  expect(stages).toContain('v2/tc-out')
  expect(stages).not.toContain('cni0/bridge')
})

test('the address of a bridge is the lowest of its ports until somebody chooses one', () => {
  const { bridge, ports } = yard([{}, {}], 'own')
  expect(bridge.mac).toBe(portMac(1))
  releaseMaster(ports[0]!)
  expect(bridge.mac).toBe(portMac(2))
  setMac(bridge, bridgeMac)
  setMaster(ports[0]!, bridge)
  expect(bridge.mac).toBe(bridgeMac)
})

test('refusals of setMaster', () => {
  const { bridge, host, ports } = yard()
  expect(setMaster(ports[0]!, bridge)).toEqual({ ok: false, errno: 'EBUSY' })
  expect(setMaster(host.devicesByName.get('lo')!, bridge)).toEqual({ ok: false, errno: 'EINVAL' })
  expect(setMaster(addBridge(host, { name: 'br1' }), bridge)).toEqual({ ok: false, errno: 'ELOOP' })
})

test('a bridge has carrier while a port has', () => {
  const { bridge, pods } = yard([{}])
  expect(bridge.carrier).toBe(true)
  setDown(pods[0]!)
  expect(bridge.carrier).toBe(false)
})
