// The host firewall of from-netdev where the ipcache does not know the sender.
import { expect, test } from 'vitest'
import { tcContext } from '../../../bpf/test-support/contexts.ts'
import { addLegacyPolicy, putLegacyIpcache } from '../../test-support/entries.ts'
import { addressBytes, datapathLab, frame, keysOf, usualDefines } from '../../test-support/lab.ts'
import { LegacyCtEntry } from '../ct-entry.ts'
import { bpfHost } from './bpf-host.ts'

test.each([
  ['192.168.0.1', '203.0.113.7', 0],
  ['fd01::1', '2001:db8::7', 2],
])('the entry of a connection to %s from %s says identity %i', (node, sender, identity) => {
  const on = datapathLab({
    legacy: true,
    defines: [...usualDefines.filter((name) => name !== 'ENABLE_NODEPORT'), 'ENABLE_HOST_FIREWALL'],
    values: { router_ipv6: addressBytes('fd00:1::1') },
    object: { kind: 'bpf_host', interface_ifindex: 10, endpoint_id: 0 },
  })
  addLegacyPolicy(on.policy, {})
  putLegacyIpcache(on.maps, node, { identity: 1 })
  const packet = frame(sender, node, { kind: 'tcp', source: 40_000, destination: 22 })
  const { result } = on.runObject(bpfHost(on.node), 'from-netdev', tcContext(packet))
  expect(result).toBe(0)
  const map = node.includes(':') ? on.maps.cilium_ct6_global : on.maps.cilium_ct4_global
  const [key] = keysOf(map) as [Uint8Array]
  expect(new LegacyCtEntry(map.lookup(key, 0) as Uint8Array).srcSecId).toBe(identity)
})
