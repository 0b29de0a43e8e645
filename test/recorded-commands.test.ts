// Commands between the steps of a recorded case, as an administrator may write them.
import { describe, expect, test } from 'vitest'
import { addVethPair } from '../src/kernel/device/veth.ts'
import { createMachine } from '../src/kernel/machine.ts'
import { addNamespace, type Namespace } from '../src/kernel/namespace.ts'
import { runCommand } from './recorded/commands.ts'

function host(): Namespace {
  const ns = addNamespace(createMachine({ seed: 1, trace: { full: false } }), { name: 'R' })
  addVethPair({ ns, name: 'r0' }, { ns, name: 'r1' })
  runCommand(ns, 'ip link set r0 up; ip link set r1 up; ip addr add 10.0.1.1/24 dev r0')
  return ns
}

describe('a command', () => {
  test('ip rule del names a rule by its preference, ip rule add means main where it names no table', () => {
    const ns = host()
    runCommand(ns, 'ip rule add iif r0 unreachable pref 5 && ip rule add from 10.0.9.0/24 pref 6')
    expect(ns.ip.v4.rules?.find(({ priority }) => priority === 6)?.action).toEqual({
      kind: 'lookup',
      table: 254,
    })
    runCommand(ns, 'ip rule del pref 5')
    expect(ns.ip.v4.rules?.map(({ priority }) => priority)).toEqual([0, 6, 32_766, 32_767])
  })

  test('echo writes a sysctl', () => {
    const ns = host()
    runCommand(ns, 'echo 1 > /proc/sys/net/ipv4/conf/r0/rp_filter')
    expect(ns.sysctls.get('net.ipv4.conf.r0.rp_filter')).toBe(1)
  })

  test('ip neigh add and change mind what is known', () => {
    const ns = host()
    const macs = (): number[] => [...ns.ip.v4.neighbours.entries.values()].map(({ mac }) => mac & 0xff)
    runCommand(ns, 'ip neigh change 10.0.1.2 lladdr 02:00:00:00:00:01 dev r0')
    expect(macs()).toEqual([])
    runCommand(ns, 'ip neigh add 10.0.1.2 lladdr 02:00:00:00:00:02 dev r0')
    runCommand(ns, 'ip neigh add 10.0.1.2 lladdr 02:00:00:00:00:03 dev r0')
    expect(macs()).toEqual([2])
    runCommand(ns, 'ip neigh change 10.0.1.2 lladdr 02:00:00:00:00:04 dev r0')
    expect(macs()).toEqual([4])
  })

  test('what is not known is an error', () => {
    expect(() => runCommand(host(), 'ip maddr show')).toThrow('ip maddr show')
  })
})
