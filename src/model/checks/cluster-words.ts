// Words of a cluster that came out of variables are as closed as those that the grammar reads.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { cellOf } from '../words/fill.ts'

const onOff = ['on', 'off', 'true', 'false'] as const

const values: Readonly<Record<string, readonly string[]>> = {
  routing: ['native', 'vxlan', 'geneve', 'ipip'],
  'host-routing': ['legacy', 'bpf'],
  'lb-mode': ['snat', 'dsr', 'hybrid'],
  'dsr-dispatch': ['opt', 'ipip', 'geneve'],
  'lb-algorithm': ['random', 'maglev'],
  'lb-acceleration': ['native', 'best-effort', 'disabled'],
  'socket-lb': ['on', 'host-only', 'off'],
  'l7-proxy': ['envoy', 'off'],
  encryption: ['wireguard', 'ipsec', 'off'],
  'monitor-aggregation': ['none', 'low', 'medium', 'maximum'],
  'policy-enforcement': ['default', 'always', 'never'],
  'policy-deny-response': ['none', 'icmp'],
  cni: ['bridge', 'flannel', 'calico', 'ptp', 'none'],
  'kube-proxy-replacement': onOff,
  'bpf-masquerade': onOff,
  masquerade: onOff,
  'auto-direct-node-routes': onOff,
  'endpoint-routes': onOff,
  'host-firewall': onOff,
  'egress-gateway': onOff,
  'bandwidth-manager': onOff,
  ipv6: onOff,
}

/** One cluster, with values out of the lists of the language. */
export function clusterWords({ entities }: WorldDraft, report: Report): void {
  const [first, second] = entities.clusters
  if (first !== undefined && second !== undefined) {
    const span = { ...second.span, end: second.span.start + 'cluster'.length }
    const notes = [{ message: 'the first one is here', span: { ...first.span, end: first.span.start + 7 } }]
    report(mistake('S102', span, 'there is already a cluster', { hint: 'a world has one', notes }))
  }
  for (const cluster of entities.clusters) {
    for (const item of cluster.items) {
      const word = item.kind === 'option' ? item.values[0] : undefined
      const known = item.kind === 'option' ? values[item.name] : undefined
      if (
        word === undefined ||
        known === undefined ||
        known.includes(word.text) ||
        cellOf(word) === undefined
      )
        continue
      const name = item.kind === 'option' ? item.name : ''
      const hint = didYouMean(word.text, known) ?? `one of ${known.join(', ')}`
      report(mistakeIn('S137', word, `there is no ${name} \`${word.text}\``, { hint }))
    }
  }
}
