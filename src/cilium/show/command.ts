// `cilium ...` on a node: which list answers which words. Enters: the words and the node's maps; leaves: what the tool prints.
import { type Shown, shown, unknown } from '../../kernel/show/command-words.ts'
import type { InstalledNode } from '../installed.ts'
import { type EntryClock, entryClock } from '../maps/clock.ts'
import { agentEndpoints, agentIdentities, printedLabels } from './agent-lists.ts'
import { bandwidthList, egressList, legacyBandwidthList, metricsList } from './feature-lists.ts'
import {
  legacyConntrackList,
  legacyEgressList,
  legacyEndpointList,
  legacyIpcacheCache,
  legacyIpcacheList,
  legacyNatList,
  legacyPolicyList,
  tunnelList,
} from './legacy-lists.ts'
import { conntrackList, endpointList, ipcacheCache, ipcacheList, natList, policyList } from './map-lists.ts'

/** Every form that is understood, for people: one line each. */
export const ciliumCommands: readonly string[] = [
  'cilium endpoint list',
  'cilium identity list',
  'cilium bpf ct list [global]',
  'cilium bpf nat list',
  'cilium bpf ipcache list',
  'cilium bpf bandwidth list',
  'cilium bpf endpoint list',
  'cilium bpf egress list',
  'cilium bpf metrics list',
  'cilium bpf policy get [-n] ENDPOINT',
  'cilium bpf tunnel list (1.10)',
  'cilium map get cilium_ipcache_v2 (1.10: cilium_ipcache)',
]

/** Names of the tool: `cilium-dbg` since 1.15, `cilium` before. */
export function isCiliumTool(word: string | undefined): boolean {
  return word === 'cilium' || word === 'cilium-dbg'
}

/** Labels of an identity as the agent knows them; `ANY` for the wildcard. */
function labelsOf({ agent }: InstalledNode, identity: number): readonly string[] {
  if (identity === 0) return ['ANY']
  return printedLabels(agent.identities.find(({ id }) => id === identity)?.labels ?? [])
}

function isLegacy({ agent }: InstalledNode): boolean {
  return agent.node.config.version === '1.10'
}

function policyGet(words: readonly string[], node: InstalledNode): Shown {
  const isNumeric = words[0] === '-n'
  const [name, stray] = isNumeric ? words.slice(1) : words
  if (name === undefined) return unknown('')
  if (stray !== undefined) return unknown(stray)
  const policy = node.policies.get(Number(name))
  const labels = (identity: number): readonly string[] => labelsOf(node, identity)
  const list = isLegacy(node) ? legacyPolicyList : policyList
  if (policy !== undefined) return shown(list(policy, isNumeric ? undefined : labels))
  return { kind: 'missing', message: `endpoint ${name} has no policy map here` }
}

type Lists = Readonly<Record<string, (node: InstalledNode, clock: EntryClock) => string>>

/** CPUs of a simulated node. */
const cpus = 1
const noEntries = 'No entries found.\n'

const currentLists: Lists = {
  'ct list': ({ maps }) => conntrackList(maps),
  'ct list global': ({ maps }) => conntrackList(maps),
  'nat list': ({ maps }, clock) => natList(maps, clock),
  'ipcache list': ({ maps }) => ipcacheList(maps) ?? noEntries,
  'bandwidth list': ({ maps }) => bandwidthList(maps) ?? noEntries,
  'endpoint list': ({ maps }) => endpointList(maps),
  'egress list': ({ maps }) => egressList(maps) ?? noEntries,
  'metrics list': ({ maps }) => metricsList(maps, cpus, true) ?? noEntries,
}

const legacyLists: Lists = {
  'ct list': ({ maps }) => legacyConntrackList(maps),
  'ct list global': ({ maps }) => legacyConntrackList(maps),
  'nat list': ({ maps }, { uptime }) => legacyNatList(maps, uptime),
  'ipcache list': ({ maps }) => legacyIpcacheList(maps) ?? noEntries,
  'bandwidth list': ({ maps }) => legacyBandwidthList(maps) ?? noEntries,
  'endpoint list': ({ maps }) => legacyEndpointList(maps),
  'egress list': ({ maps }) => legacyEgressList(maps) ?? noEntries,
  'metrics list': ({ maps }) => metricsList(maps, cpus, false) ?? noEntries,
  'tunnel list': ({ maps }) => tunnelList(maps),
}

/** `cilium map get NAME`: 1.10 has the ipcache under its old name, 1.19 understands both. */
function mapGet(name: string | undefined, node: InstalledNode): Shown {
  const legacy = isLegacy(node)
  const known = name === 'cilium_ipcache' || (!legacy && name === 'cilium_ipcache_v2')
  if (!known) return unknown(name ?? 'get')
  return shown(legacy ? legacyIpcacheCache(node.maps) : ipcacheCache(node.maps))
}

/** Answers the words behind `cilium`; `ns` is how long the node has been up (nanoseconds). */
export function ciliumCommand(words: readonly string[], node: InstalledNode, ns: number): Shown {
  const [group, ...rest] = words
  if (group === 'map') {
    if (rest[0] !== 'get') return unknown(rest[0] ?? 'map')
    return rest.length > 2 ? unknown(rest[2] ?? 'get') : mapGet(rest[1], node)
  }
  if (group === 'endpoint' || group === 'identity') {
    if (rest[0] !== 'list' || rest.length > 1) return unknown(rest[rest[0] === 'list' ? 1 : 0] ?? group)
    return shown(group === 'endpoint' ? agentEndpoints(node.agent) : agentIdentities(node.agent))
  }
  if (group !== 'bpf') return unknown(group ?? 'cilium')
  if (rest[0] === 'policy' && rest[1] === 'get') return policyGet(rest.slice(2), node)
  const lists = isLegacy(node) ? legacyLists : currentLists
  const list = lists[rest.join(' ')]
  if (list !== undefined) return shown(list(node, entryClock(node.agent.node.config, ns)))
  const isGroup = Object.keys(lists).some((name) => name.split(' ')[0] === rest[0])
  return unknown((isGroup ? rest[1] : rest[0]) ?? 'bpf')
}
