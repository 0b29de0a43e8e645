import { expect, test } from 'vitest'
import { mapKeys } from '../../bpf/user.ts'
import { ipv4 } from '../datapath/family.ts'
import { createNodeMaps } from '../datapath/object.ts'
import { conntrackText, natText } from '../decode/state.ts'
import { CtEntry } from './ct-entry.ts'
import { NatEntry } from './nat-entry.ts'
import { staleEntries } from './scrub.ts'
import { Tuple, tupleFlag } from './tuple.ts'

const tcp = 6
const pod = Uint8Array.of(10, 0, 1, 10)
const other = Uint8Array.of(10, 0, 1, 20)
const world = Uint8Array.of(8, 8, 8, 8)
const node = Uint8Array.of(192, 168, 0, 1)

function tuple(saddr: Uint8Array, daddr: Uint8Array, ports: readonly [number, number], flags: number): Tuple {
  const made = new Tuple(ipv4)
  made.saddr = saddr
  made.daddr = daddr
  made.sport = ports[0]
  made.dport = ports[1]
  made.nexthdr = tcp
  made.flags = flags
  return made
}

/** A node whose pod has talked to the world through a translation, and whose other pod has, too. */
function usedMaps() {
  const maps = createNodeMaps(1)
  const track = (client: Uint8Array, port: number): void => {
    // stored the other way round
    const key = tuple(world, client, [port, 443], tupleFlag.OUT)
    maps.cilium_ct4_global.update(key.bytes, new CtEntry().raw, 0, 0)
    const entry = new NatEntry(ipv4)
    entry.toAddress = node
    entry.toPort = port
    maps.cilium_snat_v4_external.update(
      tuple(client, world, [port, 443], tupleFlag.OUT).bytes,
      entry.raw,
      0,
      0,
    )
    const back = new NatEntry(ipv4)
    back.toAddress = client
    back.toPort = port
    maps.cilium_snat_v4_external.update(tuple(world, node, [443, port], tupleFlag.IN).bytes, back.raw, 0, 0)
  }
  track(pod, 40_000)
  track(other, 40_001)
  const incoming = tuple(pod, other, [50_000, 80], tupleFlag.IN)
  maps.cilium_ct4_global.update(incoming.bytes, new CtEntry().raw, 0, 0)
  return maps
}

test('connections from and to an address go, with both directions of their translation; those of others stay', () => {
  const maps = usedMaps()
  for (const { map, key } of staleEntries(maps, [pod])) expect(map.delete(key)).toBe(0)
  const left = mapKeys(maps.cilium_ct4_global).map((key) => conntrackText(key, new CtEntry().raw))
  expect(left).toEqual(['tcp 10.0.1.20:40001 > 8.8.8.8:443 egress'])
  const translations = mapKeys(maps.cilium_snat_v4_external).map((key) =>
    natText(key, maps.cilium_snat_v4_external.peek(key, 0) ?? new Uint8Array()),
  )
  expect(translations.sort()).toEqual([
    'tcp 10.0.1.20:40001 > 8.8.8.8:443 egress -> 192.168.0.1:40001',
    'tcp 8.8.8.8:443 > 192.168.0.1:40001 ingress -> 10.0.1.20:40001',
  ])
})

test('an address that nobody used leaves everything', () => {
  expect(staleEntries(usedMaps(), [Uint8Array.of(10, 0, 1, 99), new Uint8Array(16)])).toEqual([])
})
