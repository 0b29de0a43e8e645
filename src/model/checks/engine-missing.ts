// Constructs of the topology and programs whose engine does not exist yet. One warning at each, and none at what merely
// depends on it.
import type { Report } from '../../base/diagnostic.ts'
import type { Span } from '../../base/text.ts'
import type { Cluster, HostItem, TopologyItem } from '../../syntax/ast.ts'
import type { ProgramDraft } from '../resolve/program.ts'
import { hookFamily, isCgroupSkb } from '../resolve/program.ts'
import { headSpan, notYet } from '../resolve/unavailable.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { podConnection } from '../world/cluster-devices.ts'
import { isMachine } from '../world/entities.ts'

/** Clusters, pods, services, policies, manifests, rulesets of some tools, wireguard, cgroup hooks and objects. */
export function engineMissing({ entities, programs }: WorldDraft, report: Report): void {
  const connection = podConnection(entities.clusters)
  const connected = connection !== undefined
  const isCilium = connection === 'cilium'
  for (const item of entities.items) {
    const isKnown = isCilium && (item.kind === 'policy' || item.kind === 'manifest')
    if (!isKnown && (!connected || (item.kind !== 'cluster' && item.kind !== 'pod')))
      topologyItem(item, report)
    if (!isMachine(item)) continue
    for (const each of item.items)
      if (!connected || isCilium || each.kind !== 'hostport') hostItem(each, report)
  }
  if (!isCilium)
    for (const item of entities.linked.manifests) notYet(keyword(item.span, 'manifest'), 'a manifest', report)
  for (const program of programs) programType(program, report)
}

function keyword(span: Span, word: string): Span {
  return { source: span.source, start: span.start, end: span.start + word.length }
}

function clusterHead(item: Cluster): Span {
  const last = item.version ?? item.mode
  return last === null ? keyword(item.span, `cluster ${item.type}`) : headSpan(item.span, last.span)
}

function topologyItem(item: TopologyItem, report: Report): void {
  switch (item.kind) {
    case 'cluster':
      notYet(clusterHead(item), item.type === 'none' ? 'a cluster' : `a ${item.type} cluster`, report)
      return
    case 'pod':
    case 'service':
    case 'policy':
      notYet(headSpan(item.span, item.name.span), `a ${item.kind}`, report)
      return
    case 'manifest':
      notYet(keyword(item.span, 'manifest'), 'a manifest', report)
      return
    default:
      return
  }
}

function hostItem(item: HostItem, report: Report): void {
  switch (item.kind) {
    case 'dev':
      if (item.type !== null && missing.includes(item.type)) {
        notYet(headSpan(item.span, item.name.span), `a ${item.type} device`, report)
      }
      return
    case 'ruleset':
      if (!rulesets.includes(item.tool))
        notYet(keyword(item.span, item.tool), `a ruleset of ${item.tool}`, report)
      return
    case 'hostport':
      notYet(item.span, 'a host port', report)
      return
    case 'attachment':
      if (!isCgroupSkb(item.hook)) notYet(item.span, `the hook ${item.hook}`, report)
      return
    case 'listen':
      if (item.protocol === 'sctp') notYet(item.span, 'a socket of sctp', report)
      return
    default:
      return
  }
}

const missing: readonly string[] = ['wireguard']

const rulesets: readonly string[] = ['iptables', 'ip6tables', 'nft', 'ipset', 'ipvs', 'xfrm']

function programType({ syntax }: ProgramDraft, report: Report): void {
  if (syntax.body.kind === 'object') {
    const { path, span } = syntax.body
    notYet({ ...span, start: path.span.start }, 'a program from an object file', report)
  } else if (hookFamily(syntax.type) === 'other')
    notYet(syntax.typeSpan, `a program of type ${syntax.type}`, report)
}
