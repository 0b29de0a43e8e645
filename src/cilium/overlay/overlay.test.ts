// Whole runs of the programs of the tunnel device.
import { describe, expect, test } from 'vitest'
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import { writeTunnelKey } from '../../bpf/context/structs.ts'
import { skbSetTunnelKey } from '../../bpf/helpers/tunnel.ts'
import { runProgram } from '../../bpf/run.ts'
import { recording, tcContext } from '../../bpf/test-support/contexts.ts'
import { defaultValues, type NodeConfig } from '../datapath/config.ts'
import { type Define, definesOf } from '../datapath/defines.ts'
import { createNodeMaps, loadObject, programOf } from '../datapath/object.ts'
import { addressBytes, frame, hex, lxcObject } from '../test-support/lab.ts'
import { bpfOverlay } from './bpf-overlay.ts'

const defines: readonly Define[] = [
  'ENABLE_IPV4',
  'ENABLE_ROUTING',
  'TUNNEL_MODE',
  'ENABLE_IPV4_FRAGMENTS',
  'DROP_NOTIFY',
  'TRACE_NOTIFY',
]

function overlay(more: readonly Define[] = [], object: Partial<typeof lxcObject> = {}) {
  const node: NodeConfig = { ...definesOf([...defines, ...more]), ...defaultValues, CILIUM_HOST_IFINDEX: 11 }
  const maps = createNodeMaps(1)
  const settings = {
    ...lxcObject,
    ...object,
    kind: 'bpf_overlay',
    endpoint_id: 0,
    security_label: 0,
  } as const
  return {
    maps,
    loaded: loadObject(bpfOverlay(node), { node, object: settings, maps, suffix: 'overlay', cpus: 1 }),
  }
}

const packet = (): Uint8Array =>
  frame('10.0.2.20', '10.0.1.10', { kind: 'tcp', source: 40_000, destination: 80 })

/** Runs a program on a packet with this tunnel id; without one it has no tunnel key. */
function run(symbol: string, vni: number | undefined, setup: ReturnType<typeof overlay> = overlay()) {
  const { trace, facts } = recording({ full: true })
  const context = tcContext(packet(), { trace })
  if (vni !== undefined) {
    skbSetTunnelKey(context, writeTunnelKey({ id: vni, remote: 0xc0a8_0002, tos: 0, ttl: 64, flags: 0 }), 0)
  }
  const code = runProgram(programOf(setup.loaded, symbol), context)
  const events = facts()
    .filter((fact) => fact.startsWith('record cilium_events'))
    .map((fact) => hex(fact.slice('record cilium_events '.length)))
    .map((event) => {
      const [type, subtype] = event
      const line = type === 1 ? ` line ${readLe16(event, 28)}` : ''
      return `${type === 1 ? 'drop' : 'trace'} ${subtype} ${readLe32(event, 16)}->${readLe32(event, 20)}${line}`
    })
  return { code, mark: context.skb.mark, redirect: context.redirect, events }
}

describe('cil_from_overlay (facts 2.4)', () => {
  test('what is for nobody here goes to the host with the identity of its sender', () => {
    expect(run('cil_from_overlay', 5002)).toMatchObject({
      code: 7,
      mark: 0x138a_0f00,
      events: ['trace 9 5002->0'],
    })
  })

  test('nobody else may be this host', () => {
    expect(run('cil_from_overlay', 1)).toMatchObject({ code: 2, events: ['drop 171 1->0 line 619'] })
  })

  test('a packet without a tunnel key', () => {
    expect(run('cil_from_overlay', undefined)).toMatchObject({ code: 2, events: ['drop 147 0->0 line 619'] })
  })

  test('an endpoint without its policy program', () => {
    const setup = overlay()
    const key = new Uint8Array(20)
    key.set(addressBytes('10.0.1.10'), 0)
    key[16] = 1
    const value = new Uint8Array(48)
    value[6] = 101
    setup.maps.cilium_lxc.update(key, value, 0, 0)
    expect(run('cil_from_overlay', 5002, setup).events).toEqual([
      'trace 9 5002->0',
      'drop 203 5002->0 line 445',
    ])
  })

  test('with strict encryption nothing comes in clear', () => {
    const setup = overlay(['ENABLE_WIREGUARD', 'ENABLE_IDENTITY_MARK'], { encryption_strict_ingress: true })
    expect(run('cil_from_overlay', 5002, setup)).toMatchObject({
      code: 2,
      events: ['drop 195 0->0 line 619'],
    })
  })
})

describe('cil_to_overlay', () => {
  test('the mark says that it is tunnelled and for whom', () => {
    expect(run('cil_to_overlay', 5001)).toMatchObject({ code: 0, mark: 0x1389_0400, events: [] })
  })

  test('a packet without a tunnel key is left to the device', () => {
    expect(run('cil_to_overlay', undefined)).toMatchObject({ code: 0, mark: 0x400 })
  })
})
