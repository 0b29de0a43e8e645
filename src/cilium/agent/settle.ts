// What the agent makes of its settings on one kernel: defaults, refusals, fallbacks and what it logs about them (`facts`
// 8.1 to 8.3; cilium daemon/cmd/kube_proxy_replacement.go, daemon_main.go).
import type { AgentConfig, CiliumVersion } from './config.ts'
import { gates } from './gates.ts'
import { goDuration, type Setting } from './options.ts'
import { atLeast, type Verdict } from './verdict.ts'

/** `refused`: the agent does not start. `fallback`: it logs this and works in another way. */
export interface Notice {
  readonly kind: 'refused' | 'fallback'
  /** The setting that it is about, by its place in the list; undefined for defaults. */
  readonly index: number | undefined
  /** What the agent logs, or why it stops. */
  readonly message: string
  readonly hint?: string
}

export interface Settled {
  readonly config: AgentConfig
  readonly notices: readonly Notice[]
}

const defaultTunnelPort = { vxlan: 8472, geneve: 6081 } as const

/** The kernel that is followed where none is named. */
export const defaultKernel = '6.18'

class Settings {
  readonly #byFlag = new Map<string, Setting>()

  constructor(settings: readonly Setting[]) {
    for (const setting of settings) this.#byFlag.set(setting.flag, setting)
  }

  index(...flags: readonly string[]): number | undefined {
    for (const flag of flags) {
      const found = this.#byFlag.get(flag)
      if (found !== undefined) return found.index
    }
    return undefined
  }

  text(flag: string): string | undefined {
    return this.#byFlag.get(flag)?.value
  }

  values(flag: string): readonly string[] | undefined {
    return this.#byFlag.get(flag)?.values
  }

  on(flag: string, otherwise: boolean): boolean {
    const value = this.text(flag)
    return value === undefined ? otherwise : value === 'true'
  }

  number(flag: string, otherwise: number): number {
    const value = this.text(flag)
    return value === undefined ? otherwise : Number(value)
  }

  /** One of a closed list; the list was checked when the setting was read. */
  one<const Word extends string>(flag: string, otherwise: Word, _words?: readonly Word[]): Word {
    return (this.text(flag) as Word | undefined) ?? otherwise
  }
}

function strictEgressOf(settings: Settings): AgentConfig['strictEgress'] {
  if (!settings.on('enable-encryption-strict-mode-egress', false)) return undefined
  return {
    cidr: settings.text('encryption-strict-egress-cidr') ?? '',
    allowRemoteNodes: settings.on('encryption-strict-egress-allow-remote-node-identities', false),
  }
}

function encryptionTypeOf(settings: Settings): AgentConfig['encryption'] {
  if (settings.on('enable-wireguard', false)) return 'wireguard'
  if (settings.on('enable-ipsec', false)) return 'ipsec'
  const type = settings.one<AgentConfig['encryption']>('encryption', 'off')
  // encryption.type alone does nothing until encryption.enabled
  return settings.on('encryption-enabled', true) ? type : 'off'
}

/** What is encrypted, and how strictly. */
function encryptionOf(
  settings: Settings,
): Pick<AgentConfig, 'encryption' | 'nodeEncryption' | 'bothEncryptions' | 'strictEgress' | 'strictIngress'> {
  return {
    encryption: encryptionTypeOf(settings),
    nodeEncryption: settings.on('encrypt-node', false),
    bothEncryptions: settings.on('enable-wireguard', false) && settings.on('enable-ipsec', false),
    strictEgress: strictEgressOf(settings),
    strictIngress: settings.on('enable-encryption-strict-mode-ingress', false),
  }
}

function socketLbOf(settings: Settings, kubeProxyReplacement: boolean): AgentConfig['socketLb'] {
  const value = settings.text('bpf-lb-sock')
  if (value === 'host-only' || settings.on('bpf-lb-sock-hostns-only', false)) return 'host-only'
  return (value === undefined ? kubeProxyReplacement : value === 'true') ? 'on' : 'off'
}

function bigTcpOf(settings: Settings): Pick<AgentConfig, 'bigTcp4' | 'bigTcp6'> {
  return {
    bigTcp4: settings.on('enable-ipv4-big-tcp', false),
    bigTcp6: settings.on('enable-ipv6-big-tcp', false),
  }
}

/** A time in nanoseconds. */
function timeOf(settings: Settings, flag: string, otherwise = '0'): number {
  return goDuration(settings.text(flag) ?? otherwise) ?? 0
}

/** How long names are believed, and whether they have identities before they resolve to anything. */
function namesOf(
  settings: Settings,
  version: CiliumVersion,
): Pick<AgentConfig, 'names' | 'preallocatesNames'> {
  const old = version === '1.10'
  const names = {
    minTtl: settings.number('tofqdns-min-ttl', old ? 3600 : 0),
    maxAddresses: settings.number('tofqdns-endpoint-max-ip-per-hostname', old ? 50 : 1000),
    maxZombies: settings.number('tofqdns-max-deferred-connection-deletes', 10_000),
    grace: timeOf(settings, 'tofqdns-idle-connection-grace-period'),
  }
  return { names, preallocatesNames: !old && settings.on('tofqdns-preallocate-identities', true) }
}

/** When the agent collects conntrack. */
function conntrackGcOf(settings: Settings): AgentConfig['conntrackGc'] {
  return {
    interval: timeOf(settings, 'conntrack-gc-interval'),
    maxInterval: timeOf(settings, 'conntrack-gc-max-interval'),
  }
}

/** When the operator looks for identities without pods. */
function identityGcOf(settings: Settings): AgentConfig['identityGc'] {
  return {
    interval: timeOf(settings, 'operator:identity-gc-interval', '15m'),
    timeout: timeOf(settings, 'operator:identity-heartbeat-timeout', '30m'),
  }
}

function tunnelOf(
  settings: Settings,
  version: CiliumVersion,
): Pick<AgentConfig, 'routing' | 'tunnelProtocol' | 'tunnelPort'> {
  const old = settings.text('tunnel')
  const routing =
    version === '1.10'
      ? old === 'disabled'
        ? 'native'
        : 'tunnel'
      : settings.one('routing-mode', 'tunnel', ['tunnel', 'native'])
  const named = version === '1.10' ? old : settings.text('tunnel-protocol')
  const tunnelProtocol = named === 'geneve' ? 'geneve' : 'vxlan'
  return {
    routing,
    tunnelProtocol,
    tunnelPort: settings.number('tunnel-port', defaultTunnelPort[tunnelProtocol]),
  }
}

/** Settings with the defaults of the version's chart (install/kubernetes/cilium), before the kernel is looked at. */
function requested(settings: Settings, version: CiliumVersion, kernel: string): AgentConfig {
  const mode = settings.text('kube-proxy-replacement') ?? 'false'
  const kubeProxyProbe = mode === 'probe'
  const kubeProxyReplacement = kubeProxyProbe || mode === 'true'
  return {
    version,
    kernel,
    ...tunnelOf(settings, version),
    ipv4: settings.on('enable-ipv4', true),
    ipv6: settings.on('enable-ipv6', false),
    kubeProxyReplacement,
    kubeProxyProbe,
    masquerade4: settings.on('enable-ipv4-masquerade', true) && settings.on('enable-ipv4', true),
    masquerade6: settings.on('enable-ipv6-masquerade', true) && settings.on('enable-ipv6', false),
    bpfMasquerade: settings.on('enable-bpf-masquerade', false),
    ipMasqAgent: settings.on('enable-ip-masq-agent', false),
    nativeRoutingCidr4: settings.text('ipv4-native-routing-cidr'),
    nativeRoutingCidr6:
      settings.text('ipv6-native-routing-cidr') ?? settings.values('ipv4-native-routing-cidr')?.[1],
    bpfHostRouting: !settings.on('enable-host-legacy-routing', false),
    autoDirectNodeRoutes: settings.on('auto-direct-node-routes', false),
    endpointRoutes: settings.on('enable-endpoint-routes', false),
    lbMode: settings.one('bpf-lb-mode', 'snat', ['snat', 'dsr', 'hybrid']),
    dsrDispatch: settings.one('bpf-lb-dsr-dispatch', 'opt', ['opt', 'ipip', 'geneve']),
    lbAlgorithm: settings.one('bpf-lb-algorithm', 'random', ['random', 'maglev']),
    maglevTableSize: settings.number('bpf-lb-maglev-table-size', 16_381),
    lbAcceleration: settings.one('bpf-lb-acceleration', 'disabled', ['native', 'best-effort', 'disabled']),
    socketLb: socketLbOf(settings, kubeProxyReplacement),
    sessionAffinity: settings.on('enable-session-affinity', kubeProxyReplacement),
    l7Proxy: settings.on('enable-l7-proxy', true),
    bpfTproxy: settings.on('enable-bpf-tproxy', false),
    hostFirewall: settings.on('enable-host-firewall', false),
    egressGateway: settings.on('enable-egress-gateway', false),
    bandwidthManager: settings.on('enable-bandwidth-manager', false),
    bbr: settings.on('enable-bbr', false),
    ...encryptionOf(settings),
    monitorAggregation: settings.one('monitor-aggregation', 'none', ['none', 'low', 'medium', 'maximum']),
    policyEnforcement: settings.one('enable-policy', 'default', ['default', 'always', 'never']),
    policyAuditMode: settings.on('policy-audit-mode', false),
    policyDenyResponse: settings.one('policy-deny-response', 'none', ['none', 'icmp']),
    allowLocalhost: settings.one('allow-localhost', 'auto', ['auto', 'always', 'policy']),
    datapathMode: settings.one('datapath-mode', 'veth', ['veth', 'netkit', 'netkit-l2']),
    clockSource: settings.on('enable-bpf-clock-probe', false) ? 'jiffies' : 'ktime',
    tcx: version === '1.19' && settings.on('enable-tcx', true),
    installIptablesRules: settings.on('install-iptables-rules', true),
    installNoConntrackRules: settings.on('install-no-conntrack-iptables-rules', false),
    remoteNodeMasquerade: settings.on('enable-remote-node-masquerade', false),
    masqueradeToRouteSource: settings.on('enable-masquerade-to-route-source', false),
    sctp: settings.on('enable-sctp', false),
    fragmentTracking: settings.on('enable-ipv4-fragment-tracking', true),
    sourceIpVerification: settings.on('enable-source-ip-verification', true),
    ...bigTcpOf(settings),
    healthChecking:
      settings.on('enable-health-checking', true) && settings.on('enable-endpoint-health-checking', true),
    allowIcmpFragNeeded: settings.on('allow-icmp-frag-needed', true),
    ...namesOf(settings, version),
    keyRotationDuration: timeOf(settings, 'ipsec-key-rotation-duration', '5m'),
    conntrackGc: conntrackGcOf(settings),
    identityGc: identityGcOf(settings),
    mtu: settings.text('mtu') === undefined ? undefined : settings.number('mtu', 1500),
    devices: settings.values('devices'),
  }
}

const minimumKernel = { '1.10': '4.9.17', '1.19': '5.10' } as const

/** The agent's configuration on a kernel. */
export function settle(
  list: readonly Setting[],
  version: CiliumVersion,
  kernel: string = defaultKernel,
): Settled {
  const settings = new Settings(list)
  const notices: Notice[] = []
  let config = requested(settings, version, kernel)
  if (!atLeast(kernel, minimumKernel[version])) {
    const message = `Cilium ${version} needs Linux ${minimumKernel[version]} or newer, this is ${kernel}`
    return { config, notices: [{ kind: 'refused', index: undefined, message }] }
  }
  for (const gate of gates) {
    const verdict: Verdict | undefined = gate(config)
    if (verdict === undefined) continue
    if (verdict.kind !== 'silent') {
      const { kind, message, hint } = verdict
      notices.push({
        kind,
        index: settings.index(...verdict.flags),
        message,
        ...(hint === undefined ? {} : { hint }),
      })
    }
    if (verdict.kind !== 'refused') config = { ...config, ...verdict.change }
  }
  return { config, notices }
}
