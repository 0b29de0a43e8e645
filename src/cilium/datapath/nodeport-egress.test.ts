import { expect, test } from 'vitest'
import { runProgram } from '../../bpf/run.ts'
import { frameOf, tcContext } from '../../bpf/test-support/contexts.ts'
import { readU16 } from '../../net/bytes.ts'
import { addressBytes, frame, lxcObject, usualDefines } from '../test-support/lab.ts'
import { defaultValues, type NodeConfig } from './config.ts'
import { definesOf } from './defines.ts'
import { ipv6 } from './family.ts'
import { nodeportEgressTails } from './nodeport-egress.ts'
import { createNodeMaps, loadObject, programOf } from './object.ts'

const node = 'fd01::1'
const world = 'fd01::64'

/** bpf_host's program that masquerades, loaded once for all packets of a test. */
function masquerader(): (packet: Uint8Array) => Uint8Array {
  const config: NodeConfig = {
    ...definesOf([...usualDefines, 'ENABLE_MASQUERADE_IPV6']),
    ...defaultValues,
    IPV6_DIRECT_ROUTING: addressBytes(node),
  }
  const object = { ...lxcObject, kind: 'bpf_host', nat_ipv6_masquerade: addressBytes(node) } as const
  const entries = nodeportEgressTails(ipv6).map(([, program]) => program)
  const maps = createNodeMaps(1)
  const loaded = loadObject(
    { type: 'sched_cls', entries, tails: new Map() },
    { node: config, object, maps, suffix: 'test', cpus: 1 },
  )
  return (packet) => {
    const context = tcContext(packet)
    expect(runProgram(programOf(loaded, 'tail_handle_snat_fwd_ipv6'), context)).toBe(0)
    return frameOf(context)
  }
}

const udp = (source: string, sport: number, destination: string, dport: number): Uint8Array =>
  frame(source, destination, { kind: 'udp', source: sport, destination: dport })

test("an ICMPv6 error loses type and code to the port of the object's packet before", () => {
  const send = masquerader()
  send(udp(node, 40_005, world, 53))
  const quoted = udp(world, 53, node, 40_005).slice(14)
  const error = frame(node, world, { kind: 'icmp6', type: 1, code: 4 }, { kind: 'payload', bytes: quoted })
  const sent = send(error)
  expect([...sent.subarray(54, 56)]).toEqual([0, 0])
  // recorded: the sum is told of the stale port, not of what stood there
  expect(readU16(sent, 56)).toBe((readU16(error, 56) + 40_005) % 0xffff)
  expect(sent.subarray(58)).toEqual(error.subarray(58))
})
