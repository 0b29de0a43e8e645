// Services in the maps of a node, as the agent writes them.
import { writeLe16, writeLe32 } from '../../src/bpf/context/byte-order.ts'
import { createMap } from '../../src/bpf/maps/create.ts'
import type { NodeMaps } from '../../src/cilium/datapath/ctx.ts'
import { ipv4, ipv6 } from '../../src/cilium/datapath/family.ts'
import { ServiceKey, serviceFlag } from '../../src/cilium/maps/service.ts'
import { writeU16 } from '../../src/net/bytes.ts'
import type { RecordedConfig, ScenarioService } from './case.ts'
import { versionOf } from './era.ts'
import { addressBytes, type FilledNode } from './fill.ts'
import { must } from './topology.ts'

const { NODEPORT, ROUTABLE } = serviceFlag
const nodePort = NODEPORT | ROUTABLE
const tcp = 6

/** A service with the ids of its backends. */
interface Filled extends ScenarioService {
  readonly firstBackend: number
}

const fixed = (
  vip: string,
  port: number,
  revnat: number,
  flags: number,
  backend?: readonly [string, number],
): Filled => ({
  vip,
  port,
  revnat,
  flags,
  backends: backend === undefined ? [] : [backend],
  firstBackend: revnat,
})

/** The services that all runs of the fixed list have. */
const fixedServices: readonly Filled[] = [
  fixed('10.96.0.10', 80, 1, 0, ['10.0.1.11', 8080]),
  fixed('10.96.0.20', 80, 2, 0, ['10.0.2.10', 8080]),
  fixed('10.96.0.30', 80, 3, 0, ['10.0.1.10', 8080]),
  fixed('10.96.0.40', 80, 4, 0),
  ...['192.168.0.1', '192.168.0.2'].flatMap((node, at) => [
    fixed(node, 30_080, 10 + at * 10, nodePort, ['10.0.2.10', 8080]),
    fixed(node, 30_081, 11 + at * 10, nodePort, ['10.0.1.10', 8080]),
    fixed(node, 30_082, 12 + at * 10, nodePort),
  ]),
]

function numberKey(value: number, size: 2 | 4): Uint8Array {
  const key = new Uint8Array(size)
  if (size === 2) writeLe16(key, 0, value)
  else writeLe32(key, 0, value)
  return key
}

function putSlot(
  maps: NodeMaps,
  service: Filled,
  slot: number,
  value: { readonly backendId?: number; readonly count?: number },
): void {
  const vip = addressBytes(service.vip)
  const key = new ServiceKey(vip.length === 4 ? ipv4 : ipv6)
  key.address = vip
  key.dport = service.port
  // keys of 1.10 say no protocol
  key.protocol = versionOf(maps) === 'v1.10' ? 0 : (service.proto ?? tcp)
  key.backendSlot = slot
  const bytes = new Uint8Array(12)
  writeLe32(bytes, 0, value.backendId ?? 0)
  writeLe16(bytes, 4, value.count ?? 0)
  writeLe16(bytes, 6, service.revnat)
  bytes[8] = service.flags
  bytes[9] = service.flags2 ?? 0
  const map = vip.length === 4 ? maps.cilium_lb4_services_v2 : maps.cilium_lb6_services_v2
  must(map.update(key.bytes, bytes, 0, 0) === 0 ? map : undefined, 'service')
}

/** A Maglev table whose slot i holds backend i modulo their number. */
function putMaglev(maps: NodeMaps, service: Filled, slots: number): void {
  const map = addressBytes(service.vip).length === 4 ? maps.cilium_lb4_maglev : maps.cilium_lb6_maglev
  const made = createMap(must(map.spec.inner, 'inner'), { cpus: 1 })
  if (made.kind !== 'made' || !('update' in made.map)) throw new Error('maglev')
  const table = new Uint8Array(slots * 4)
  const { length } = service.backends
  for (let slot = 0; slot < slots; slot += 1) {
    writeLe32(table, slot * 4, length === 0 ? 0 : service.firstBackend + (slot % length))
  }
  const inner = made.map as typeof maps.cilium_lxc
  inner.update(new Uint8Array(4), table, 0, 0)
  map.update(numberKey(service.revnat, 2), inner, 0)
}

function putBackend(maps: NodeMaps, id: number, address: Uint8Array, port: number): void {
  const four = address.length === 4
  const { cilium_lb4_backends, cilium_lb6_backends, cilium_lb4_backends_v3, cilium_lb6_backends_v3 } = maps
  const legacy = four ? cilium_lb4_backends : cilium_lb6_backends
  const map = legacy ?? (four ? cilium_lb4_backends_v3 : cilium_lb6_backends_v3)
  const backend = new Uint8Array(map.spec.valueSize)
  backend.set(address)
  writeU16(backend, address.length, port)
  map.update(numberKey(id, legacy === undefined ? 4 : 2), backend, 0, 0)
}

function putService(maps: NodeMaps, service: Filled, maglevSlots: number | undefined): void {
  const { backends, firstBackend, revnat } = service
  const vip = addressBytes(service.vip)
  const four = vip.length === 4
  putSlot(maps, service, 0, { count: backends.length })
  for (const [at, [address, port]] of backends.entries()) {
    const id = firstBackend + at
    putSlot(maps, service, at + 1, { backendId: id })
    putBackend(maps, id, addressBytes(address), port)
  }
  const reverse = new Uint8Array(vip.length + 2)
  reverse.set(vip)
  writeU16(reverse, vip.length, service.port)
  const map = four ? maps.cilium_lb4_reverse_nat : maps.cilium_lb6_reverse_nat
  map.update(numberKey(revnat, 2), reverse, 0, 0)
  if (maglevSlots !== undefined) putMaglev(maps, service, maglevSlots)
}

/** The services of a run, on the nodes that have them. */
export function putServices(
  nodes: readonly FilledNode[],
  config: RecordedConfig,
  scenario: readonly ScenarioService[] | undefined,
  maglevSlots: number,
): void {
  const services =
    scenario?.map((service): Filled => ({ ...service, firstBackend: service.revnat * 100 })) ?? fixedServices
  for (const { number, maps } of nodes) {
    for (const service of services) {
      if (service.nodes !== undefined && !service.nodes.includes(number)) continue
      putService(maps, service, config.lb === 'maglev' ? maglevSlots : undefined)
    }
  }
}
