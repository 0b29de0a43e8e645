// Options of the agent by all their names: the language's words, Helm values and the agent's flags. A setting enters as it
// was written; the flag's name and one spelling of its value leave.

import { isIpv4 } from '../../net/address.ts'
import { parsePrefix } from '../../net/prefix.ts'
import type { CiliumVersion } from './config.ts'

/** How a value is written and what it means to the flag. */
export type Values =
  | { readonly kind: 'switch' }
  | { readonly kind: 'one'; readonly of: Readonly<Record<string, string>> }
  /** `most`: the largest one. */
  | { readonly kind: 'number'; readonly most?: number }
  /** As Go writes them: `1m30s`. */
  | { readonly kind: 'duration' }
  | { readonly kind: 'text' }
  | { readonly kind: 'prefix'; readonly version: 4 | 6 }

export interface Option {
  readonly flag: string
  readonly word?: string
  readonly helm?: readonly string[]
  readonly values: Values
  /** What Helm and the agent of 1.10 take instead. */
  readonly under10?: Values
  /** Only in this version. */
  readonly only?: CiliumVersion
}

const switches: Values = { kind: 'switch' }
const text: Values = { kind: 'text' }
const number: Values = { kind: 'number' }
const duration: Values = { kind: 'duration' }

/** Values whose spelling is the same everywhere. */
function one(...words: readonly string[]): Values {
  return { kind: 'one', of: Object.fromEntries(words.map((word) => [word, word])) }
}

function option(flag: string, values: Values, word: string | undefined, ...helm: readonly string[]): Option {
  return { flag, values, helm, ...(word === undefined ? {} : { word }) }
}

/** What 1.10 has between all and nothing; `partial` alone replaces nothing. */
const replacement: Values = {
  kind: 'one',
  of: { strict: 'true', probe: 'probe', partial: 'false', disabled: 'false' },
}

/** Options that change what happens to packets. */
export const options: readonly Option[] = [
  { ...option('routing-mode', one('tunnel', 'native'), undefined, 'routingMode'), only: '1.19' },
  { ...option('tunnel-protocol', one('vxlan', 'geneve'), undefined, 'tunnelProtocol'), only: '1.19' },
  { ...option('tunnel', one('vxlan', 'geneve', 'disabled'), undefined, 'tunnel'), only: '1.10' },
  option('tunnel-port', { kind: 'number', most: 65_535 }, 'tunnel-port', 'tunnelPort'),
  {
    ...option('kube-proxy-replacement', switches, 'kube-proxy-replacement', 'kubeProxyReplacement'),
    under10: replacement,
  },
  option('enable-bpf-masquerade', switches, 'bpf-masquerade', 'bpf.masquerade'),
  option('enable-ipv4-masquerade', switches, 'masquerade', 'enableIPv4Masquerade'),
  option('enable-ipv6-masquerade', switches, undefined, 'enableIPv6Masquerade'),
  option('enable-ip-masq-agent', switches, 'ip-masq-agent', 'ipMasqAgent.enabled'),
  option(
    'ipv4-native-routing-cidr',
    { kind: 'prefix', version: 4 },
    'native-routing-cidr',
    'ipv4NativeRoutingCIDR',
  ),
  option('ipv6-native-routing-cidr', { kind: 'prefix', version: 6 }, undefined, 'ipv6NativeRoutingCIDR'),
  option(
    'enable-host-legacy-routing',
    { kind: 'one', of: { legacy: 'true', bpf: 'false', true: 'true', false: 'false' } },
    'host-routing',
    'bpf.hostLegacyRouting',
  ),
  option('auto-direct-node-routes', switches, 'auto-direct-node-routes', 'autoDirectNodeRoutes'),
  option('enable-endpoint-routes', switches, 'endpoint-routes', 'endpointRoutes.enabled'),
  option('bpf-lb-mode', one('snat', 'dsr', 'hybrid'), 'lb-mode', 'loadBalancer.mode'),
  option('bpf-lb-dsr-dispatch', one('opt', 'ipip', 'geneve'), 'dsr-dispatch', 'loadBalancer.dsrDispatch'),
  option('bpf-lb-algorithm', one('random', 'maglev'), 'lb-algorithm', 'loadBalancer.algorithm'),
  option('bpf-lb-maglev-table-size', number, 'maglev-table-size', 'maglev.tableSize'),
  option(
    'bpf-lb-acceleration',
    one('native', 'best-effort', 'disabled'),
    'lb-acceleration',
    'loadBalancer.acceleration',
  ),
  option(
    'bpf-lb-sock',
    { kind: 'one', of: { on: 'true', off: 'false', true: 'true', false: 'false', 'host-only': 'host-only' } },
    'socket-lb',
    'socketLB.enabled',
  ),
  option('bpf-lb-sock-hostns-only', switches, undefined, 'socketLB.hostNamespaceOnly'),
  option('enable-session-affinity', switches, 'session-affinity', 'sessionAffinity'),
  option(
    'enable-l7-proxy',
    { kind: 'one', of: { envoy: 'true', off: 'false', on: 'true', true: 'true', false: 'false' } },
    'l7-proxy',
    'l7Proxy',
  ),
  option('enable-bpf-tproxy', switches, undefined, 'bpf.tproxy'),
  option('enable-host-firewall', switches, 'host-firewall', 'hostFirewall.enabled'),
  option('enable-egress-gateway', switches, 'egress-gateway', 'egressGateway.enabled'),
  option('enable-bandwidth-manager', switches, 'bandwidth-manager', 'bandwidthManager.enabled'),
  option('enable-bbr', switches, undefined, 'bandwidthManager.bbr'),
  option('encryption', one('wireguard', 'ipsec', 'off'), 'encryption', 'encryption.type'),
  option('encryption-enabled', switches, undefined, 'encryption.enabled'),
  option('enable-wireguard', switches, undefined),
  option('enable-ipsec', switches, undefined),
  option('encrypt-node', switches, 'node-encryption', 'encryption.nodeEncryption'),
  option(
    'enable-encryption-strict-mode-egress',
    switches,
    undefined,
    'encryption.strictMode.egress.enabled',
    'encryption.strictMode.enabled',
  ),
  option(
    'encryption-strict-egress-cidr',
    text,
    undefined,
    'encryption.strictMode.egress.cidr',
    'encryption.strictMode.cidr',
  ),
  option(
    'encryption-strict-egress-allow-remote-node-identities',
    switches,
    undefined,
    'encryption.strictMode.egress.allowRemoteNodeIdentities',
    'encryption.strictMode.allowRemoteNodeIdentities',
  ),
  option(
    'enable-encryption-strict-mode-ingress',
    switches,
    undefined,
    'encryption.strictMode.ingress.enabled',
  ),
  option('enable-ipv4', switches, 'ipv4', 'ipv4.enabled'),
  option('enable-ipv6', switches, 'ipv6', 'ipv6.enabled'),
  option(
    'monitor-aggregation',
    one('none', 'low', 'medium', 'maximum'),
    'monitor-aggregation',
    'bpf.monitorAggregation',
  ),
  option(
    'datapath-mode',
    {
      kind: 'one',
      of: { veth: 'veth', netkit: 'netkit', 'netkit-l2': 'netkit-l2', on: 'netkit', off: 'veth' },
    },
    'netkit',
    'bpf.datapathMode',
  ),
  option('enable-ipv4-big-tcp', switches, 'big-tcp', 'enableIPv4BIGTCP'),
  option('enable-ipv6-big-tcp', switches, undefined, 'enableIPv6BIGTCP'),
  option('enable-policy', one('default', 'always', 'never'), 'policy-enforcement', 'policyEnforcementMode'),
  option('policy-audit-mode', switches, 'policy-audit', 'policyAuditMode'),
  {
    ...option('policy-deny-response', one('none', 'icmp'), 'policy-deny-response', 'policyDenyResponse'),
    only: '1.19',
  },
  option('allow-localhost', one('auto', 'always', 'policy'), undefined),
  { ...option('enable-tcx', switches, undefined, 'bpf.enableTCX'), only: '1.19' },
  option('install-iptables-rules', switches, undefined, 'installIptablesRules'),
  option('install-no-conntrack-iptables-rules', switches, undefined, 'installNoConntrackIptablesRules'),
  option('enable-remote-node-masquerade', switches, undefined, 'enableRemoteNodeMasquerade'),
  option('enable-masquerade-to-route-source', switches, undefined, 'enableMasqueradeRouteSource'),
  option('enable-sctp', switches, undefined, 'sctp.enabled'),
  option('enable-ipv4-fragment-tracking', switches, undefined, 'fragmentTracking'),
  option('enable-source-ip-verification', switches, undefined),
  option('enable-health-checking', switches, 'health-checking', 'healthChecking'),
  option('enable-endpoint-health-checking', switches, undefined, 'endpointHealthChecking.enabled'),
  option('allow-icmp-frag-needed', switches, undefined),
  option('mtu', number, 'mtu', 'MTU'),
  option('devices', text, 'devices', 'devices'),
  option('cluster-name', text, 'cluster-name', 'cluster.name'),
  option('pod-cidr', text, 'pod-cidr', 'ipam.operator.clusterPoolIPv4PodCIDRList'),
  // off, nobody answers the datapath's requests; on without SPIRE neither
  option('mesh-auth-enabled', switches, undefined, 'authentication.enabled'),
  option('mesh-auth-mutual-enabled', switches, undefined, 'authentication.mutual.spire.enabled'),
  option('dns-answer', text, 'dns-answer'),
  option('tofqdns-min-ttl', number, undefined, 'dnsProxy.minTtl'),
  option('tofqdns-endpoint-max-ip-per-hostname', number, undefined, 'dnsProxy.endpointMaxIpPerHostname'),
  option(
    'tofqdns-max-deferred-connection-deletes',
    number,
    undefined,
    'dnsProxy.maxDeferredConnectionDeletes',
  ),
  option('tofqdns-idle-connection-grace-period', duration, undefined, 'dnsProxy.idleConnectionGracePeriod'),
  {
    ...option('tofqdns-preallocate-identities', switches, undefined, 'dnsProxy.preAllocateIdentities'),
    only: '1.19',
  },
  option('enable-bpf-clock-probe', switches, undefined, 'bpfClockProbe'),
  option('ipsec-key-rotation-duration', duration, undefined, 'encryption.ipsec.keyRotationDuration'),
  option('conntrack-gc-interval', duration, undefined, 'conntrackGCInterval'),
  {
    ...option('conntrack-gc-max-interval', duration, undefined, 'conntrackGCMaxInterval'),
    only: '1.19',
  },
  // the operator's own
  option('operator:identity-gc-interval', duration, undefined, 'operator.identityGCInterval'),
  option('operator:identity-heartbeat-timeout', duration, undefined, 'operator.identityHeartbeatTimeout'),
  option('ipv4-service-range', text, 'service-cidr', 'k8s.serviceCIDR'),
]

/** Words and values that are Cilium's and whose engine is to come. */
export const laterWords: readonly string[] = [
  'srv6',
  'bgp',
  'l2-announcements',
  'local-redirect-policy',
  'identity-allocation',
  'masquerade-all',
]

/** A setting as it stands in a file. */
export interface WrittenSetting {
  readonly form: 'word' | 'helm' | 'flag'
  readonly key: string
  readonly values: readonly string[]
}

/** A setting by the name of its flag; `index` is its place in the list that was read. */
export interface Setting {
  readonly flag: string
  readonly value: string
  readonly values: readonly string[]
  readonly index: number
}

/** The option that a name stands for. */
export function optionNamed(form: WrittenSetting['form'], key: string): Option | undefined {
  return options.find((each) => {
    if (form === 'word') return each.word === key
    return form === 'flag' ? each.flag === key : each.helm?.includes(key)
  })
}

const units: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }

/** time.ParseDuration() without signs and fractions: nanoseconds, or undefined for what is none. */
export function goDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^([0-9]+(ns|us|ms|s|m|h))+$/.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/([0-9]+)(ns|us|ms|s|m|h)/g))
    sum += Number(amount) * (units[unit ?? ''] ?? 0)
  return sum
}

const truth: Readonly<Record<string, string>> = { on: 'true', off: 'false', true: 'true', false: 'false' }

/** What may be written for an option. */
export function valuesOf(option: Option, form: WrittenSetting['form'], version: CiliumVersion): Values {
  return (form !== 'word' && version === '1.10' ? option.under10 : undefined) ?? option.values
}

/** The one spelling of a value, or undefined where the option has no such value. */
export function settingValue(values: Values, written: string): string | undefined {
  switch (values.kind) {
    case 'switch':
      return truth[written]
    case 'one':
      return Object.hasOwn(values.of, written) ? values.of[written] : undefined
    case 'number':
      return /^[0-9]+$/.test(written) && Number(written) <= (values.most ?? Infinity) ? written : undefined
    case 'prefix': {
      const prefix = parsePrefix(written)
      return prefix !== undefined && isIpv4(prefix.address) === (values.version === 4) ? written : undefined
    }
    case 'duration':
      return goDuration(written) === undefined ? undefined : written
    case 'text':
      return written
  }
}

/** What an option may be set to, for a hint. */
export function knownValues(values: Values): readonly string[] {
  if (values.kind === 'switch') return ['true', 'false']
  return values.kind === 'one' ? Object.keys(values.of) : []
}
