// What of an installation depends on the version of Cilium: the objects with the names of their programs, the layouts of maps.
import { present } from '../base/assert.ts'
import type { BpfMap } from '../bpf/maps/map.ts'
import type { AgentState } from '../cilium/agent/agent.ts'
import type { AgentConfig } from '../cilium/agent/config.ts'
import type { Endpoint } from '../cilium/agent/endpoint.ts'
import type { PolicyMapEntry } from '../cilium/agent/policy/map-entry.ts'
import type { NodeMaps, ObjectMaps } from '../cilium/datapath/ctx.ts'
import type { Defines } from '../cilium/datapath/defines.ts'
import { createNodeMaps, createPolicyMap, type ObjectSource } from '../cilium/datapath/object.ts'
import type { Era } from '../cilium/decode/notification.ts'
import { bpfHost } from '../cilium/host/bpf-host.ts'
import { bpfXdp as legacyXdp } from '../cilium/legacy/bpf-xdp.ts'
import { bpfHost as legacyHost } from '../cilium/legacy/host/bpf-host.ts'
import { bpfLxc as legacyLxc } from '../cilium/legacy/lxc/bpf-lxc.ts'
import { bpfNetwork as legacyNetwork } from '../cilium/legacy/network/bpf-network.ts'
import { createLegacyNodeMaps, createLegacyPolicyMap } from '../cilium/legacy/object.ts'
import { bpfOverlay as legacyOverlay } from '../cilium/legacy/overlay/bpf-overlay.ts'
import { bpfLxc } from '../cilium/lxc/bpf-lxc.ts'
import { bpfOverlay } from '../cilium/overlay/bpf-overlay.ts'
import { bpfXdp } from '../cilium/xdp/bpf-xdp.ts'
import { legacyIpcacheEntries, legacyPolicyEntries, tunnelEntries } from './cilium-legacy-maps.ts'
import {
  egressEntries,
  encryptEntries,
  endpointEntries,
  fill,
  fillIpcache,
  type IfindexOf,
  ipcacheEntries,
  type MapEntry,
  nodeEntries,
  policyEntries,
  throttleEntries,
} from './cilium-maps.ts'
import type { MapWriter } from './map-writer.ts'

/** The hooks that programs are made for; the last three are reached through maps of programs. */
type Hook =
  | 'fromContainer'
  | 'toContainer'
  | 'fromNetdev'
  | 'toNetdev'
  | 'fromHost'
  | 'toHost'
  | 'fromOverlay'
  | 'toOverlay'
  | 'fromWireguard'
  | 'toWireguard'
  | 'fromNetwork'
  | 'xdp'
  | 'policy'
  | 'egressPolicy'
  | 'hostPolicy'

/** A map that the agent fills from what it decided. */
export interface AgentTable {
  readonly map: BpfMap
  readonly entries: readonly MapEntry[]
}

function legacyAddressTables(
  { cilium_ipcache, cilium_tunnel_map }: NodeMaps,
  agent: AgentState,
): readonly AgentTable[] {
  return [
    {
      map: present(cilium_ipcache, 'a node with Cilium 1.10 has cilium_ipcache'),
      entries: legacyIpcacheEntries(agent),
    },
    {
      map: present(cilium_tunnel_map, 'a node with Cilium 1.10 has cilium_tunnel_map'),
      entries: tunnelEntries(agent),
    },
  ]
}

/** One version as it is installed. */
export interface CiliumEra {
  readonly createNodeMaps: (cpus: number) => NodeMaps
  readonly createPolicyMap: (endpointId: number, cpus: number) => NonNullable<ObjectMaps['policy']>
  readonly lxc: (node: Defines) => ObjectSource
  readonly host: (node: Defines) => ObjectSource
  readonly overlay: (node: Defines) => ObjectSource
  readonly xdp: (node: Defines) => ObjectSource
  /** On the device that IPsec comes through, which no other object is on; undefined: none is. */
  readonly network: ((node: Defines) => ObjectSource) | undefined
  /** The symbol of the program for a hook; undefined where the version has none. */
  readonly symbols: Readonly<Record<Hook, string | undefined>>
  /** The name of a clsact filter for a program on a device. */
  readonly filterName: (symbol: string, device: string) => string
  /** Whether its loader tells the kernel the names of programs. */
  readonly namesPrograms: boolean
  /** Which identity and which tunnel an address has. */
  readonly addressTables: (maps: NodeMaps, agent: AgentState) => readonly AgentTable[]
  /** Fills the empty maps of `addressTables`; what nodes share may be there once. */
  readonly fillAddresses: (maps: NodeMaps, agent: AgentState) => void
  /** What features keep besides: bandwidths, gateways. */
  readonly featureTables: (maps: NodeMaps, agent: AgentState, ifindexOf: IfindexOf) => readonly AgentTable[]
  readonly endpointEntries: (endpoints: readonly Endpoint[], ifindexOf: IfindexOf) => readonly MapEntry[]
  readonly policyEntries: (entries: readonly PolicyMapEntry[]) => readonly MapEntry[]
  /** Whether the agent attaches to native devices at all. */
  readonly selectsDevices: (config: AgentConfig) => boolean
}

/** The file that the agent of 1.10 compiles for a device (pkg/datapath/loader, reloadHostDatapath()). */
function legacyObjectFile(section: string, device: string): string {
  if (section === 'from-network') return 'bpf_network.o'
  if (device === 'cilium_host') return 'bpf_host.o'
  if (device === 'cilium_net') return 'bpf_host_cilium_net.o'
  if (device === 'cilium_vxlan' || device === 'cilium_geneve') return 'bpf_overlay.o'
  return device.startsWith('lxc') ? 'bpf_lxc.o' : `bpf_netdev_${device}.o`
}

/** Every version that is followed. */
export const ciliumEras: Readonly<Record<Era, CiliumEra>> = {
  '1.19': {
    createNodeMaps,
    createPolicyMap,
    lxc: bpfLxc,
    host: bpfHost,
    overlay: bpfOverlay,
    xdp: bpfXdp,
    network: undefined,
    symbols: {
      fromContainer: 'cil_from_container',
      toContainer: 'cil_to_container',
      fromNetdev: 'cil_from_netdev',
      toNetdev: 'cil_to_netdev',
      fromHost: 'cil_from_host',
      toHost: 'cil_to_host',
      fromOverlay: 'cil_from_overlay',
      toOverlay: 'cil_to_overlay',
      fromWireguard: 'cil_from_wireguard',
      toWireguard: 'cil_to_wireguard',
      fromNetwork: undefined,
      xdp: 'cil_xdp_entry',
      policy: 'cil_lxc_policy',
      egressPolicy: 'cil_lxc_policy_egress',
      hostPolicy: 'cil_host_policy',
    },
    // pkg/datapath/loader attachTCProgram()
    filterName: (symbol, device) => `${symbol}-${device}`,
    namesPrograms: true,
    addressTables: (maps, { ipcache }) => [{ map: maps.cilium_ipcache_v2, entries: ipcacheEntries(ipcache) }],
    fillAddresses: fillIpcache,
    featureTables: (maps, agent, ifindexOf) => [
      { map: maps.cilium_node_map_v2, entries: nodeEntries(agent.nodeIds) },
      { map: maps.cilium_encrypt_state, entries: encryptEntries(agent) },
      { map: maps.cilium_egress_gw_policy_v4, entries: egressEntries(agent.egress.rules, 4, ifindexOf) },
      { map: maps.cilium_egress_gw_policy_v6, entries: egressEntries(agent.egress.rules, 6, ifindexOf) },
      { map: maps.cilium_throttle, entries: throttleEntries(agent) },
    ],
    endpointEntries,
    policyEntries,
    selectsDevices: ({ kubeProxyReplacement, bpfMasquerade, hostFirewall, encryption }) =>
      kubeProxyReplacement || bpfMasquerade || hostFirewall || encryption !== 'off',
  },
  '1.10': {
    createNodeMaps: createLegacyNodeMaps,
    createPolicyMap: createLegacyPolicyMap,
    lxc: legacyLxc,
    host: legacyHost,
    overlay: legacyOverlay,
    xdp: legacyXdp,
    network: legacyNetwork,
    symbols: {
      fromContainer: 'from-container',
      toContainer: 'to-container',
      fromNetdev: 'from-netdev',
      toNetdev: 'to-netdev',
      fromHost: 'from-host',
      toHost: 'to-host',
      fromOverlay: 'from-overlay',
      toOverlay: 'to-overlay',
      fromWireguard: undefined,
      toWireguard: undefined,
      fromNetwork: 'from-network',
      xdp: 'from-netdev',
      policy: 'handle_policy',
      egressPolicy: undefined,
      hostPolicy: 'handle_lxc_traffic',
    },
    // `tc filter replace ... bpf da obj FILE sec SECTION`: file and section are the name that iproute2 gives, and its loader gives programs none
    filterName: (section, device) => `${legacyObjectFile(section, device)}:[${section}]`,
    namesPrograms: false,
    addressTables: legacyAddressTables,
    fillAddresses: (maps, agent) => {
      for (const { map, entries } of legacyAddressTables(maps, agent)) fill(map, entries)
    },
    // only what pods send is limited, and without priorities
    featureTables: ({ cilium_throttle, cilium_encrypt_state }, agent) => {
      const { throttles } = agent
      const egress = throttles.filter(({ direction }) => direction === 'egress')
      const plain = egress.map((throttle) => ({ ...throttle, priority: 0 }))
      return [
        { map: cilium_throttle, entries: throttleEntries({ throttles: plain }) },
        { map: cilium_encrypt_state, entries: encryptEntries(agent) },
      ]
    },
    endpointEntries: (endpoints, ifindexOf) => endpointEntries(endpoints, ifindexOf, false),
    policyEntries: legacyPolicyEntries,
    selectsDevices: ({ kubeProxyReplacement, hostFirewall }) => kubeProxyReplacement || hostFirewall,
  },
}

/** Brings maps from what the agent had decided to what it decides now: a version has the same ones before and after. */
export function syncTables(
  writer: MapWriter,
  before: readonly AgentTable[],
  after: readonly AgentTable[],
): void {
  for (const [at, { map, entries }] of after.entries()) writer.sync(map, before[at]?.entries ?? [], entries)
}
