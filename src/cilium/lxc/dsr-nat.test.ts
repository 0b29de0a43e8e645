import { expect, test } from 'vitest'
import { tcContext } from '../../bpf/test-support/contexts.ts'
import { bytesToHex } from '../../net/hex.ts'
import { CtEntry } from '../maps/ct-entry.ts'
import { serviceFlag } from '../maps/service.ts'
import { putEndpoint, putIpcache, putService } from '../test-support/entries.ts'
import { addPolicy, datapathLab, frame, keysOf, routeTo, usualDefines } from '../test-support/lab.ts'
import { bpfLxc } from './bpf-lxc.ts'

test('a pod asks the NodePort of another node with DSR: its connection remembers address and port', () => {
  const on = datapathLab({ defines: [...usualDefines, 'ENABLE_DSR'], kernel: routeTo({}) })
  putEndpoint(on.maps, '10.0.1.10', { id: 101, identity: 5001 })
  putIpcache(on.maps, '192.168.0.2', { identity: 6 })
  putService(on.maps, {
    address: '0.0.0.0',
    port: 30_080,
    revNatIndex: 8,
    flags: serviceFlag.NODEPORT,
    backends: [{ id: 1, address: '10.0.2.10', port: 8080 }],
  })
  addPolicy(on.policy, { egress: true, prefix: 0 })
  const packet = frame('10.0.1.10', '192.168.0.2', {
    kind: 'tcp',
    source: 40_000,
    destination: 30_080,
    flags: 2,
  })
  on.runObject(bpfLxc(on.node), 'cil_from_container', tcContext(packet))
  const [entry] = keysOf(on.maps.cilium_ct4_global)
    .map((key) => new CtEntry(on.maps.cilium_ct4_global.lookup(key, 0) ?? new Uint8Array()))
    .filter((each) => each.natPort !== 0)
  expect(bytesToHex(entry?.natAddress ?? new Uint8Array())).toBe(`${'00'.repeat(12)}c0a80002`)
  expect(entry?.natPort).toBe(30_080)
})
