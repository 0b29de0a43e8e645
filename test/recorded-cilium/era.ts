// What differs between the recorded versions of Cilium where it is put on a node: objects, maps, names of programs, settings.
import type { NodeValues } from '../../src/cilium/datapath/config.ts'
import type { NodeMaps } from '../../src/cilium/datapath/ctx.ts'
import { createNodeMaps, createPolicyMap } from '../../src/cilium/datapath/object.ts'
import { bpfHost } from '../../src/cilium/host/bpf-host.ts'
import { bpfXdp as legacyXdp } from '../../src/cilium/legacy/bpf-xdp.ts'
import { bpfHost as legacyHost } from '../../src/cilium/legacy/host/bpf-host.ts'
import { bpfLxc as legacyLxc } from '../../src/cilium/legacy/lxc/bpf-lxc.ts'
import { createLegacyNodeMaps, createLegacyPolicyMap } from '../../src/cilium/legacy/object.ts'
import { bpfOverlay as legacyOverlay } from '../../src/cilium/legacy/overlay/bpf-overlay.ts'
import { bpfLxc } from '../../src/cilium/lxc/bpf-lxc.ts'
import { bpfOverlay } from '../../src/cilium/overlay/bpf-overlay.ts'
import { bpfXdp } from '../../src/cilium/xdp/bpf-xdp.ts'

export type Version = 'v1.10' | 'v1.19'

/** The name of a program of 1.19 in 1.10: its section. */
const legacyNames: Readonly<Record<string, string>> = {
  cil_from_container: 'from-container',
  cil_lxc_policy: 'handle_policy',
  cil_to_host: 'to-host',
  cil_from_host: 'from-host',
  cil_from_netdev: 'from-netdev',
  cil_to_netdev: 'to-netdev',
  cil_from_overlay: 'from-overlay',
  cil_to_overlay: 'to-overlay',
  cil_xdp_entry: 'from-netdev',
}

const eras = {
  'v1.19': { bpfLxc, bpfHost, bpfOverlay, bpfXdp, createNodeMaps, createPolicyMap },
  'v1.10': {
    bpfLxc: legacyLxc,
    bpfHost: legacyHost,
    bpfOverlay: legacyOverlay,
    bpfXdp: legacyXdp,
    createNodeMaps: createLegacyNodeMaps,
    createPolicyMap: createLegacyPolicyMap,
  },
} as const

/** Objects and maps of a version. */
export function eraOf(version: Version) {
  return eras[version]
}

/** The symbol that a version has for a program of 1.19. */
export function symbolOf(version: Version, symbol: string): string {
  return version === 'v1.19' ? symbol : (legacyNames[symbol] ?? symbol)
}

/** The version that a node's maps belong to. */
export function versionOf(maps: NodeMaps): Version {
  return maps.cilium_ipcache === undefined ? 'v1.19' : 'v1.10'
}

/** Settings whose defaults were others in 1.10. */
export const legacyValues: Partial<NodeValues> = {
  CT_CONNECTION_LIFETIME_TCP: 21_600,
  CT_SERVICE_LIFETIME_TCP: 21_600,
  ENABLE_SKIP_FIB: true,
}
