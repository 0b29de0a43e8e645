import { expect, test } from 'vitest'
import { readLe64 } from '../../bpf/context/byte-order.ts'
import { drop } from '../datapath/drop-reason.ts'
import { ipv4 } from '../datapath/family.ts'
import { metricDirection } from '../datapath/metrics.ts'
import { datapathLab, frame, hex, keysOf, usualDefines } from '../test-support/lab.ts'
import { localDelivery } from './l3.ts'

test.each([
  ['bpf_lxc', true],
  ['bpf_host', true],
  // the settings of the tunnel device do not have LOCAL_DELIVERY_METRICS
  ['bpf_overlay', false],
] as const)('a delivery by %s is counted: %s', (kind, counted) => {
  const on = datapathLab({
    legacy: true,
    defines: [...usualDefines, 'LOCAL_DELIVERY_METRICS'],
    object: { kind },
  })
  const packet = frame('10.0.2.20', '10.0.1.10', { kind: 'udp', source: 40_000, destination: 53 })
  const { result, frame: sent } = on.run(packet, (ctx) => {
    const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last)
    const endpoint = {
      ifindex: 21,
      lxcId: 101,
      flags: 0,
      mac: mac(1),
      nodeMac: mac(2),
      secId: 0,
      parentIfindex: 0,
    }
    const direction = metricDirection.INGRESS
    const code = localDelivery(ctx, ipv4, { source: 5002, endpoint, direction, fromHost: false })
    return { code, words: [0, 1, 3].map((slot) => ctx.meta(slot)) }
  })
  // the pod has no program here
  expect(result).toEqual({ code: drop.MISSED_TAIL_CALL, words: [5002, 21, 0] })
  expect(sent.slice(0, 12)).toEqual(hex('020000000001020000000002'))
  const map = on.maps.cilium_metrics
  const counts = keysOf(map).map((key) => readLe64(map.lookup(key, 0) as Uint8Array, 0))
  expect(counts).toEqual(counted ? [1] : [])
})
