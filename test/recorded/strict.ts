// Says what a recorded case has that this reader does not know: better than to play it without.
import type { RecordedCase } from './case.ts'

const known = {
  topology: ['namespaces', 'programs'],
  namespace: [
    ...['sysctls', 'dev_sysctls', 'devices', 'addresses', 'routes', 'rules', 'neighbours', 'fdb'],
    ...['iptables', 'ip6tables', 'traced'],
  ],
  device: [
    ...['name', 'kind', 'mac', 'mtu', 'up', 'peer', 'master', 'hairpin', 'isolated', 'opts', 'lower', 'mode'],
    'tx_csum',
  ],
  address: ['dev', 'addr'],
  neighbour: ['dev', 'ip', 'mac', 'state'],
  fdb: ['dev', 'mac', 'dst'],
  program: ['id', 'ns', 'dev', 'hook', 'prio', 'match', 'actions', 'verdict', 'nomatch'],
  verdict: ['helper', 'dev', 'flags', 'nh', 'key', 'then'],
  step: [
    ...['n', 'op', 'id', 'ns', 'dev', 'hex', 'bind', 'dst', 'to', 'len', 'data', 'listener', 'timeout_s'],
    ...['seconds', 'command', 'ident', 'seq', 'ttl', 'payload_len', 'sockopts', 'recverr', 'result'],
    // for people
    ...['frame', 'note', 'text'],
  ],
  sockopts: ['ttl', 'hoplimit', 'df', 'mark'],
  final: ['conntrack', 'neighbours', 'fdb', 'iptables_counters', 'route_cache', 'counters'],
} as const

/** The names of an object that are not known, with where they stand. */
function unknown(kind: keyof typeof known, where: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  const names: readonly string[] = known[kind]
  return Object.keys(value)
    .filter((name) => !names.includes(name))
    .map((name) => `${where}: ${kind} ${name}`)
}

function each(kind: keyof typeof known, where: string, values: readonly unknown[] | undefined): string[] {
  return (values ?? []).flatMap((value) => unknown(kind, where, value))
}

/** What of a case this reader would leave out. */
export function notUnderstood({ topology, steps, final }: RecordedCase): string[] {
  const spaces = Object.entries(topology.namespaces).flatMap(([name, ns]) => [
    ...unknown('namespace', name, ns),
    ...each('device', name, ns.devices),
    ...each('address', name, ns.addresses),
    ...each('neighbour', name, ns.neighbours),
    ...each('fdb', name, ns.fdb),
  ])
  const programs = topology.programs.flatMap((program) => [
    ...unknown('program', program.id, program),
    ...unknown('verdict', program.id, program.verdict),
  ])
  const actions = steps.flatMap((step) => [
    ...unknown('step', `step ${step.n}`, step),
    ...unknown('sockopts', `step ${step.n}`, step.sockopts),
  ])
  const finals = Object.entries(final).flatMap(([name, state]) => unknown('final', name, state))
  return [...unknown('topology', 'topology', topology), ...spaces, ...programs, ...actions, ...finals]
}
