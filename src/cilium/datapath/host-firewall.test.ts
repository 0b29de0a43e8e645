import { describe, expect, test } from 'vitest'
import { putIpcache } from '../test-support/entries.ts'
import {
  addPolicy,
  type DatapathLab,
  datapathLab,
  entryText,
  frame,
  keysOf,
  usualDefines,
} from '../test-support/lab.ts'
import { ctDirection } from './ct-state.ts'
import { drop } from './drop-reason.ts'
import { ipv4 } from './family.ts'
import { hostPolicyEgress, hostPolicyIngress } from './host-firewall.ts'
import type { TraceContext } from './notify.ts'

const host = '192.168.0.1'
const client = '192.168.0.100'
const HOST = 1
const WORLD = 9

function lab(): DatapathLab {
  const on = datapathLab({
    defines: [...usualDefines, 'ENABLE_HOST_FIREWALL'],
    object: { kind: 'bpf_host', security_label: HOST, host_ep_id: 7 },
  })
  putIpcache(on.maps, host, { identity: HOST })
  putIpcache(on.maps, '0.0.0.0/0', { identity: WORLD })
  return on
}

/** Verdict events as `direction remote port verdict`. */
function verdicts(on: DatapathLab): string[] {
  const seen: string[] = []
  on.maps.cilium_events.onRecord = (record) => {
    const view = new DataView(record.buffer, record.byteOffset)
    if (record[0] !== 5) return
    const direction = ((record[27] ?? 0) & 3) === 1 ? 'in' : 'out'
    seen.push(
      `${direction} ${view.getUint32(16, true)} ${view.getUint16(24, true)} ${view.getInt32(20, true)}`,
    )
  }
  return seen
}

const newTrace = (): TraceContext => ({ reason: 5, monitor: 0 })
const tcp = (source: string, sport: number, destination: string, dport: number, flags = 2): Uint8Array =>
  frame(source, destination, { kind: 'tcp', source: sport, destination: dport, flags })

const ingress = (on: DatapathLab, packet: Uint8Array) =>
  on.run(packet, (ctx) => hostPolicyIngress(ctx, ipv4, 0, newTrace())).result

const egress = (
  on: DatapathLab,
  packet: Uint8Array,
  source: number,
  ipcacheSource = HOST,
  isFromProxy = false,
) =>
  on.run(packet, (ctx) => hostPolicyEgress(ctx, ipv4, { source, ipcacheSource, isFromProxy }, newTrace()))
    .result

const entries = (on: DatapathLab): string[] => keysOf(on.maps.cilium_ct4_global).map(entryText)

describe('ingress (facts 2.13)', () => {
  test('only packets for the host are asked about', () => {
    const on = lab()
    expect(ingress(on, tcp(client, 40_000, '10.0.1.10', 22))).toEqual({ verdict: 0, source: 0 })
    expect(entries(on)).toEqual([])
  })

  test('what no rule allows is dropped with an event and without an entry', () => {
    const on = lab()
    const seen = verdicts(on)
    expect(ingress(on, tcp(client, 40_000, host, 23))).toEqual({ verdict: drop.POLICY, source: WORLD })
    expect(seen).toEqual([`in ${WORLD} 23 ${drop.POLICY}`])
    expect(entries(on)).toEqual([])
  })

  test('an allowed connection gets an entry with its twin; later packets are silent', () => {
    const on = lab()
    addPolicy(on.policy, { identity: WORLD, protocol: 6, port: 22, prefix: 24 })
    const seen = verdicts(on)
    expect(ingress(on, tcp(client, 40_000, host, 22)).verdict).toBe(0)
    expect(ingress(on, tcp(client, 40_000, host, 22, 16)).verdict).toBe(0)
    expect(seen).toEqual([`in ${WORLD} 22 0`])
    expect(entries(on)).toEqual([`${ctDirection.INGRESS} proto 6 ${client}:40000 -> ${host}:22`])
    expect(keysOf(on.maps.cilium_ct_any4_global).length).toBe(1)
  })

  test('what an allow-all rule lets through is not reported', () => {
    const on = lab()
    addPolicy(on.policy, { prefix: 0 })
    const seen = verdicts(on)
    expect(ingress(on, tcp(client, 40_000, host, 22)).verdict).toBe(0)
    expect(seen).toEqual([])
  })
})

describe('egress (facts 2.13)', () => {
  test("the host's own packet is asked about and tracked; its reply passes ingress", () => {
    const on = lab()
    addPolicy(on.policy, { egress: true, identity: WORLD, protocol: 6, port: 443, prefix: 24 })
    const seen = verdicts(on)
    expect(egress(on, tcp(host, 40_000, client, 443), HOST)).toBe(0)
    expect(egress(on, tcp(host, 40_000, client, 80), HOST)).toBe(drop.POLICY)
    expect(seen).toEqual([`out ${WORLD} 443 0`, `out ${WORLD} 80 ${drop.POLICY}`])
    expect(entries(on)).toEqual([`${ctDirection.EGRESS} proto 6 ${host}:40000 -> ${client}:443`])
    expect(ingress(on, tcp(client, 443, host, 40_000, 18)).verdict).toBe(0)
  })

  test("a pod's packet with the host's address is only tracked, so that replies pass", () => {
    const on = lab()
    expect(egress(on, tcp(host, 40_000, client, 443), 5001)).toBe(0)
    expect(entries(on).length).toBe(1)
    expect(ingress(on, tcp(client, 443, host, 40_000, 18)).verdict).toBe(0)
  })

  test('neither the host by mark nor by address: not its business', () => {
    const on = lab()
    expect(egress(on, tcp('10.0.1.10', 40_000, client, 443), 5001, 5001)).toBe(0)
    expect(entries(on)).toEqual([])
  })

  test('packets of the proxy are tracked without policy', () => {
    const on = lab()
    expect(egress(on, tcp(host, 40_000, client, 443), HOST, HOST, true)).toBe(0)
    expect(entries(on).length).toBe(1)
  })

  test('an L7 rule sends the packet through cilium_host to the proxy', () => {
    const on = lab()
    addPolicy(on.policy, {
      egress: true,
      identity: WORLD,
      protocol: 6,
      port: 80,
      prefix: 24,
      proxyPort: 10_001,
    })
    const run = on.run(tcp(host, 40_000, client, 80), (ctx) => {
      const sender = { source: HOST, ipcacheSource: HOST, isFromProxy: false }
      const code = hostPolicyEgress(ctx, ipv4, sender, newTrace())
      return { code, mark: ctx.mark }
    })
    expect(run.result.code).toBe(7)
    expect(run.result.mark.toString(16)).toBe('11270200')
    expect(run.context.redirect).toMatchObject({ kind: 'device', ingress: true })
  })
})
