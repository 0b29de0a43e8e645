// Programs of a cgroup that see packets; the spec about them is tried on the real kernel.
import { expect, test } from 'vitest'
import { present } from '../../base/assert.ts'
import type { Program } from '../../bpf/contract.ts'
import { type IpAddress, parseIp } from '../../net/address.ts'
import { parsePrefix } from '../../net/prefix.ts'
import { setUp } from '../device/change.ts'
import { addVethPair } from '../device/veth.ts'
import { addAddress } from '../ip/admin-address.ts'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { attachCgroupSkb } from './cgroup-skb.ts'
import { udpBind, udpOpen, udpSend } from './udp.ts'
import type { UdpSocket } from './udp-socket.ts'

function program(type: Program['type'], run: Program['run']): Program {
  return { name: 'p', type, run }
}

function ip(text: string): IpAddress {
  return present(parseIp(text), text)
}

function open(ns: Parameters<typeof udpOpen>[0]['ns'], address: string): UdpSocket {
  const opened = udpOpen({ ns, family: 6, label: 'f' })
  if ('errno' in opened) throw new Error(opened.errno)
  udpBind(opened.ok, { address: ip(address), port: 7 })
  return opened.ok
}

test('only programs of the type are attached', () => {
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'a' })
  expect(
    attachCgroupSkb(
      ns,
      'egress',
      program('sched_cls', () => 0),
    ),
  ).toEqual({ ok: false, errno: 'EINVAL' })
})

test('IPv6: egress sees the IPv6 header first, ingress may refuse', () => {
  const machine = createMachine({ seed: 1 })
  const [a, b] = [addNamespace(machine, { name: 'a' }), addNamespace(machine, { name: 'b' })]
  const ends = addVethPair({ ns: a, name: 'v' }, { ns: b, name: 'v' })
  ends.forEach((dev, index) => {
    setUp(dev)
    addAddress(dev, present(parsePrefix(`fd00::${index + 1}/64`), 'a prefix'))
  })
  machine.clock.drain()
  const first: number[] = []
  let answer = 1
  const look = program('cgroup_skb', ({ skb }) => {
    first.push((skb?.bytes[skb.start] ?? 0) >> 4)
    return answer
  })
  attachCgroupSkb(a, 'egress', look)
  attachCgroupSkb(b, 'ingress', look)
  const [client, server] = [open(a, 'fd00::1'), open(b, 'fd00::2')]
  const send = (): object => {
    const sent = udpSend(client, new Uint8Array(4), { to: { address: ip('fd00::2'), port: 7 } })
    machine.clock.drain()
    return sent
  }
  expect(send()).toEqual({ ok: 4 })
  expect(first).toEqual([6, 6])
  expect(server.queue).toHaveLength(1)
  answer = 0
  expect(send()).toEqual({ errno: 'EPERM' })
  expect(server.queue).toHaveLength(1)
  expect(b.counters.get('Udp6InErrors')).toBeUndefined()
})
