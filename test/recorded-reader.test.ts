// The reader of recorded runs: what a scenario says by the names of Cilium's structs must stand in the maps as the agent has it.
import { describe, expect, test } from 'vitest'
import type { BpfMap } from '../src/bpf/maps/map.ts'
import { clampPort } from '../src/cilium/datapath/nat-mapping.ts'
import type { RecordedChange, RecordedSetup, RecordedStep, ScenarioMap } from './recorded-cilium/case.ts'
import { choiceOf } from './recorded-cilium/choices.ts'
import { installCilium } from './recorded-cilium/datapath.ts'
import type { Version } from './recorded-cilium/era.ts'
import { type FilledNode, putPolicy } from './recorded-cilium/fill.ts'
import { applyMap } from './recorded-cilium/raw-entry.ts'
import { definesFor, unknownSettings } from './recorded-cilium/settings.ts'
import { buildTopology } from './recorded-cilium/topology.ts'

function nodes(version: Version): readonly FilledNode[] {
  const config = { tunnel: true }
  return installCilium(buildTopology(config, version), config, undefined, (program) => program, version)
}

function hexOf(map: BpfMap, key: string): string | undefined {
  const found = map.peek(Uint8Array.from(Buffer.from(key, 'hex')), 0)
  return found === undefined ? undefined : Buffer.from(found).toString('hex')
}

function put(version: Version, entry: Omit<ScenarioMap, 'node'>): readonly FilledNode[] {
  const all = nodes(version)
  applyMap(all, { node: 1, ...entry })
  return all
}

describe('a raw entry', () => {
  test('sets bit fields beside each other', () => {
    const [node] = put('v1.19', {
      map: 'cilium_ipcache_v2',
      key: { lpm_key: 'hex:38000000', family: 1, ip4: 'ip:10.9.9.0', pad1: 0 },
      value: {
        sec_identity: 7,
        tunnel_endpoint: 'ip:192.168.0.2',
        flag_skip_tunnel: 1,
        flag_has_tunnel_ep: 1,
      },
    })
    const key = '38000000000000010a090900000000000000000000000000'
    expect(node && hexOf(node.maps.cilium_ipcache_v2, key)).toBe(
      '07000000c0a8000200000000000000000000000000000003',
    )
  })

  test('of a policy map is what the same rule writes', () => {
    const [node] = put('v1.19', {
      map: 'cilium_policy_01001',
      key: { lpm_key: 'hex:40000000', sec_label: 10_002, egress: 1, protocol: 6, dport: 'hex:1f90' },
      value: { deny: 1, lpm_prefix_length: 24, precedence: 0xffff_ffff },
    })
    const map = node?.policies.get(1001)
    const rule = nodes('v1.19')[0]?.policies.get(1001)
    if (map === undefined || rule === undefined) throw new Error('policy map')
    putPolicy(rule, { egress: true, identity: 10_002, protocol: 6, port: 8080, deny: true })
    const key = '400000001227000001061f90'
    expect(hexOf(map, key)).toBe(hexOf(rule, key))
    expect(hexOf(map, key)).toBe('0000c100ffffffff00000000')
  })

  test('of 1.10 has the fields of 1.10', () => {
    const [node] = put('v1.10', {
      map: 'cilium_egress_v4',
      key: { lpm_key: 'hex:38000000', sip: 'ip:10.0.1.10', dip: 'ip:192.168.0.0' },
      value: { egress_ip: 'ip:192.168.0.9', tunnel_endpoint: 'ip:192.168.0.2' },
    })
    const map = node?.maps.cilium_egress_v4 as BpfMap | undefined
    expect(map && hexOf(map, '380000000a00010ac0a80000')).toBe('c0a80009c0a80002')
  })

  test.each([
    { what: 'a field that is not there', value: { identity: 1 } },
    { what: 'more than its bits hold', value: { flag_skip_tunnel: 2 } },
    { what: 'a form that is not known', value: { sec_identity: 'id:1' } },
  ])('with $what is refused', ({ value }) => {
    const entry = { map: 'cilium_ipcache_v2', key: { lpm_key: 'hex:20000000' }, value } as Omit<
      ScenarioMap,
      'node'
    >
    expect(() => put('v1.19', entry)).toThrow()
  })
})

describe('settings', () => {
  test.each([
    [{ tunnel: true, iptables_masquerade: true }, []],
    [{ tunnel: true, debug: true }, ['debug true']],
    [{ defines: { ENABLE_SCTP: 1, NO_SUCH: 1 } }, ['define NO_SUCH 1']],
    [{ consts: { no_such: 1, kernel_hz: 250 } }, ['const no_such']],
    [{ extra: { ENABLE_REDIRECT_FAST: 1, ENABLE_SRC_RANGE_CHECK: null, NO_SUCH: 1 } }, ['define NO_SUCH 1']],
  ])('%j has the problems %j', (config, problems) => {
    expect(unknownSettings(config)).toEqual(problems)
  })

  test('of 1.10 mean what 1.19 calls otherwise', () => {
    const { ENABLE_HOST_ROUTING } = definesFor({ host_routing: false, extra: { ENABLE_REDIRECT_FAST: 1 } })
    expect(ENABLE_HOST_ROUTING).toBe(true)
  })
})

describe('the number that programs drew', () => {
  const step = (maps: RecordedChange[]): RecordedStep => ({
    title: '',
    at: 'cl',
    frame: '',
    timeline: [],
    maps,
  })
  const made = (map: string, entry: string): RecordedChange => ({ op: '+', map: `n1/${map}`, entry })
  const translated = made(
    'cilium_snat_v4_external',
    '{tcp OUT 10.0.2.11:8080 -> 192.168.0.100:40000} = {to 192.168.0.2:63097 need_ct 0}',
  )
  const served = made(
    'cilium_ct4_global',
    '{tcp SERVICE 192.168.0.100:1 -> 10.96.0.10:80} = {backend_id=702}',
  )
  const backends = [1, 2, 3].map((last): [string, number] => [`10.0.1.${last}`, 80])
  const services = [{ vip: '10.96.0.10', port: 80, backends, revnat: 7, flags: 0 }]
  const setup = { services, policy: [], maps: [] }

  test('gives the port of a translation and the backend of a service at once', () => {
    const number = choiceOf(step([translated, served]), 'v1.19', setup) ?? 0
    expect(clampPort(32_768, 65_535, number & 0xffff)).toBe(63_097)
    expect(number % 3).toBe(2)
  })

  test('is not asked for where ports are kept and there is one backend', () => {
    const kept = { ...translated, entry: translated.entry.replace(':63097', ':8080') }
    const alone = {
      ...setup,
      services: [{ ...setup.services[0], backends: backends.slice(0, 1) }],
    } as RecordedSetup
    expect(choiceOf(step([kept, served]), 'v1.19', alone)).toBeUndefined()
  })
})
