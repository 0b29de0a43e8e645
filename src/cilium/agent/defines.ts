// What the programs of a node are compiled with: the agent's configuration in the names of Cilium's defines (cilium
// pkg/datapath/linux/config/config.go).
import type { Define } from '../datapath/defines.ts'
import type { AgentConfig } from './config.ts'

/** In 1.19 WireGuard alone encrypts the nodes' own traffic. */
function encryptsNodes({ version, encryption, nodeEncryption }: AgentConfig): boolean {
  return nodeEncryption && (encryption === 'wireguard' || (version === '1.10' && encryption === 'ipsec'))
}

/** Defines of node_config.h, which all objects of the node share. */
export function nodeDefines(config: AgentConfig): readonly Define[] {
  const { ipv4, ipv6, kubeProxyReplacement: kpr, bpfMasquerade, version } = config
  const dsr = kpr && config.lbMode !== 'snat'
  const tunnel = config.routing === 'tunnel'
  const table: readonly (readonly [Define, boolean])[] = [
    ['ENABLE_IPV4', ipv4],
    ['ENABLE_IPV6', ipv6],
    ['TUNNEL_MODE', tunnel],
    ['HAVE_ENCAP', tunnel || config.egressGateway || (dsr && config.dsrDispatch === 'geneve')],
    ['ENABLE_HOST_ROUTING', kpr && config.bpfHostRouting],
    ['ENABLE_ENDPOINT_ROUTES', config.endpointRoutes],
    ['ENABLE_NODEPORT', kpr || bpfMasquerade],
    ['ENABLE_NODEPORT_ACCELERATION', kpr && config.lbAcceleration !== 'disabled'],
    ['ENABLE_MASQUERADE_IPV4', bpfMasquerade && config.masquerade4 && ipv4],
    ['ENABLE_MASQUERADE_IPV6', bpfMasquerade && config.masquerade6 && ipv6],
    ['ENABLE_IP_MASQ_AGENT_IPV4', bpfMasquerade && config.ipMasqAgent && ipv4],
    ['ENABLE_IP_MASQ_AGENT_IPV6', bpfMasquerade && config.ipMasqAgent && ipv6],
    ['ENABLE_SOCKET_LB_FULL', config.socketLb === 'on'],
    ['ENABLE_SOCKET_LB_HOST_ONLY', config.socketLb === 'host-only'],
    ['ENABLE_SCTP', config.sctp],
    ['ENABLE_DSR', dsr],
    ['ENABLE_DSR_BYUSER', kpr && config.lbMode === 'hybrid'],
    ['ENABLE_DSR_HYBRID', kpr && config.lbMode === 'hybrid'],
    ['ENABLE_HOST_FIREWALL', config.hostFirewall],
    ['ENABLE_EGRESS_GATEWAY', config.egressGateway],
    ['ENABLE_EGRESS_GATEWAY_COMMON', config.egressGateway],
    ['ENABLE_BANDWIDTH_MANAGER', config.bandwidthManager],
    ['ENABLE_WIREGUARD', config.encryption === 'wireguard'],
    ['ENABLE_IPSEC', config.encryption === 'ipsec'],
    ['ENABLE_NODE_ENCRYPTION', encryptsNodes(config)],
    ['ENCRYPTION_STRICT_MODE_EGRESS', config.strictEgress !== undefined],
    ['ENABLE_TPROXY', config.bpfTproxy],
    ['ENABLE_SIP_VERIFICATION', config.sourceIpVerification],
    ['ENABLE_IDENTITY_MARK', true],
    ['ENABLE_IPV4_FRAGMENTS', ipv4 && config.fragmentTracking],
    ['ENABLE_IPV6_FRAGMENTS', ipv6 && config.fragmentTracking && version === '1.19'],
    ['ENABLE_HEALTH_CHECK', kpr],
    ['SERVICE_NO_BACKEND_RESPONSE', version === '1.19'],
    ['POLICY_AUDIT_MODE', config.policyAuditMode],
    ['DROP_NOTIFY', true],
    ['TRACE_NOTIFY', true],
    ['POLICY_VERDICT_NOTIFY', true],
    ['CONNTRACK_ACCOUNTING', true],
  ]
  return table.filter(([, isOn]) => isOn).map(([name]) => name)
}

/** Defines of the endpoint's own header (writeTemplateConfig). */
export function endpointDefines(
  config: AgentConfig,
  endpoint: { readonly kind: 'pod' | 'host' | 'health'; readonly requiresEgressProgram: boolean },
): readonly Define[] {
  const arp = endpoint.kind === 'host' || config.datapathMode !== 'netkit'
  const ingressByProgram = config.endpointRoutes || endpoint.requiresEgressProgram
  return [
    ...(ingressByProgram ? ['USE_BPF_PROG_FOR_INGRESS_POLICY' as const] : []),
    ...(!config.endpointRoutes ? ['ENABLE_ROUTING' as const] : []),
    ...(arp ? ['ENABLE_ARP_RESPONDER' as const] : []),
    'LOCAL_DELIVERY_METRICS',
  ]
}
