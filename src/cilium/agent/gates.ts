// What the agent refuses or does in another way, one rule after the other in the order in which it looks (`facts` 8.1, 8.2).
import { isIpv4Prefix, parsePrefix } from '../../net/prefix.ts'
import {
  affinityOnOldKernel,
  clockOnOldKernel,
  dispatchOfOld,
  dsrInTunnelOfOld,
  isOld,
  legacyEncryption,
  legacyRoutingReason,
  masqueradeOnOldKernel,
  nodePortOnOldKernel,
  nodePortWithIpsec,
  tcpServicesOnOldKernel,
  udpServicesOnOldKernel,
} from './legacy-gates.ts'
import {
  masqueradeAgent,
  masqueradeOff,
  masqueradeRouteSource,
  nativeRange4,
  nativeRange6,
  remoteMasquerade,
} from './masquerade-gates.ts'
import { atLeast, fall, type Gate, refuse } from './verdict.ts'

/** InitKubeProxyReplacementOptions(): what says of the service which way, the tunnel or the header of a packet, must fit. */
const tunnelAndDsr: Gate = (config) => {
  const { routing, tunnelProtocol, lbMode, dsrDispatch, kubeProxyReplacement } = config
  if (isOld(config) || !kubeProxyReplacement || lbMode === 'snat') return undefined
  const tunnels = routing === 'tunnel'
  if (tunnels && tunnelProtocol === 'vxlan')
    return refuse(
      ['bpf-lb-mode'],
      `Node Port "${lbMode}" mode cannot be used with vxlan tunneling.`,
      '`routing native`, or `lb-mode snat`',
    )
  if (tunnels && dsrDispatch !== 'geneve')
    return refuse(
      ['bpf-lb-mode'],
      `Tunnel routing with Node Port "${lbMode}" mode requires geneve dispatch.`,
      '`dsr-dispatch geneve`',
    )
  return dsrDispatch === 'geneve' && tunnelProtocol !== 'geneve'
    ? refuse(
        ['bpf-lb-dsr-dispatch'],
        `Node Port "${lbMode}" mode with "geneve" dispatch requires geneve tunnel protocol.`,
        '`tunnelProtocol = geneve`',
      )
    : undefined
}

const directRoutes: Gate = ({ autoDirectNodeRoutes, routing }) =>
  autoDirectNodeRoutes && routing === 'tunnel'
    ? refuse(
        ['auto-direct-node-routes'],
        'auto-direct-node-routes cannot be used with tunneling. Packets must be routed through the tunnel device.',
        '`routing native`',
      )
    : undefined

const proxyNeedsRules: Gate = ({ l7Proxy, installIptablesRules }) =>
  l7Proxy && !installIptablesRules
    ? refuse(
        ['install-iptables-rules'],
        'L7 proxy requires iptables rules (--install-iptables-rules="true")',
        '`l7-proxy off`',
      )
    : undefined

const gateway: Gate = (config) => {
  const { egressGateway, bpfMasquerade, masquerade4, kernel } = config
  if (!egressGateway) return undefined
  const flags = ['enable-egress-gateway']
  if (!masquerade4 || !bpfMasquerade)
    return refuse(
      flags,
      'egress gateway requires --enable-ipv4-masquerade="true" and --enable-bpf-masquerade="true"',
      '`bpf-masquerade on`',
    )
  return isOld(config) && !atLeast(kernel, '5.2')
    ? refuse(flags, 'egress gateway requires kernel 5.2 or newer')
    : undefined
}

const noConntrackRules: Gate = ({
  installNoConntrackRules,
  kubeProxyReplacement,
  socketLb,
  bpfMasquerade,
}) =>
  installNoConntrackRules && !(kubeProxyReplacement && socketLb !== 'off' && bpfMasquerade)
    ? refuse(
        ['install-no-conntrack-iptables-rules'],
        'install-no-conntrack-iptables-rules requires kube-proxy replacement, socket LB and BPF masquerade',
      )
    : undefined

const encryption: Gate = (config) => {
  const { encryption: way, routing, hostFirewall, strictIngress, bothEncryptions } = config
  if (bothEncryptions)
    return refuse(
      ['enable-ipsec', 'enable-wireguard'],
      'WireGuard (--enable-wireguard) cannot be used with IPsec (--enable-ipsec)',
    )
  if (isOld(config)) return legacyEncryption(config)
  if (way === 'ipsec' && strictIngress)
    return refuse(
      ['enable-encryption-strict-mode-ingress'],
      'IPSec doesnt support strict ingress encryption.',
    )
  if (strictIngress && routing !== 'tunnel')
    return refuse(
      ['enable-encryption-strict-mode-ingress'],
      'Strict ingress encryption requires tunneling to be enabled.',
    )
  return way === 'ipsec' && hostFirewall
    ? refuse(['enable-host-firewall'], 'IPSec cannot be used with the host firewall.')
    : undefined
}

/** Strict mode for egress wants a range of IPv4 addresses. */
const strictEgress: Gate = ({ strictEgress: strict }) => {
  if (strict === undefined) return undefined
  const flags = ['encryption-strict-egress-cidr', 'enable-encryption-strict-mode-egress']
  const prefix = parsePrefix(strict.cidr)
  if (prefix === undefined)
    return refuse(flags, `Cannot parse CIDR ${strict.cidr} from --encryption-strict-egress-cidr option`)
  return isIpv4Prefix(prefix)
    ? undefined
    : refuse(flags, 'encryption-strict-egress-cidr must be an IPv4 CIDR')
}

const bandwidth: Gate = (config) => {
  const { bandwidthManager, kernel, encryption: encrypted } = config
  if (!bandwidthManager) return undefined
  const flags = ['enable-bandwidth-manager']
  const off = { bandwidthManager: false }
  if (encrypted === 'ipsec')
    return fall(
      flags,
      'The bandwidth manager cannot be used with IPSec. Disabling the bandwidth manager.',
      off,
    )
  if (isOld(config) && !atLeast(kernel, '5.1'))
    return fall(flags, 'BPF bandwidth manager needs kernel 5.1 or newer. Disabling the feature.', off)
  return undefined
}

const tproxy: Gate = (config) =>
  config.bpfTproxy && !atLeast(config.kernel, '5.7')
    ? fall(
        ['enable-bpf-tproxy'],
        'BPF TPROXY needs kernel 5.7 or newer. Falling back to iptables-based TPROXY.',
        {
          bpfTproxy: false,
        },
      )
    : undefined

const fragments: Gate = (config) =>
  config.fragmentTracking && !atLeast(config.kernel, '4.10')
    ? fall(['enable-ipv4-fragment-tracking'], 'Fragment tracking needs kernel 4.10 or newer. Disabling it.', {
        fragmentTracking: false,
      })
    : undefined

const affinity: Gate = (config) =>
  config.sessionAffinity && config.kubeProxyReplacement && !atLeast(config.kernel, '5.7')
    ? fall(
        ['enable-session-affinity'],
        'Session affinity for host reachable services needs kernel 5.7.0 or newer to work properly when accessed from inside cluster: the same service endpoint will be selected from all network namespaces on the host.',
        {},
      )
    : undefined

/** enable-host-legacy-routing becomes true, with the agent's line where it writes one. */
const hostRouting: Gate = (config) => {
  if (!config.bpfHostRouting) return undefined
  const change = { bpfHostRouting: false }
  const { kubeProxyReplacement, bpfMasquerade, masquerade4, masquerade6, ipv6 } = config
  if (!kubeProxyReplacement) return { kind: 'silent', change }
  const iptables = !bpfMasquerade && (masquerade4 || (ipv6 && masquerade6))
  const current = iptables ? 'BPF host routing requires enable-bpf-masquerade.' : undefined
  const reason = isOld(config) ? legacyRoutingReason(config, iptables) : current
  if (reason === undefined) return undefined
  const flags = ['enable-host-legacy-routing']
  return fall(
    flags,
    `${reason} Falling back to legacy host routing (enable-host-legacy-routing=true).`,
    change,
  )
}

/** daemon_main.go: the agent starts without host routing, too; its documentation asks for Linux 6.8. */
const netkit: Gate = ({ datapathMode, kernel, bpfTproxy, tcx: wanted }) => {
  if (datapathMode === 'veth') return undefined
  const flags = ['datapath-mode']
  if (bpfTproxy)
    return refuse(flags, `--enable-bpf-tproxy=true cannot be used with --datapath-mode=${datapathMode}`)
  if (!atLeast(kernel, '6.7'))
    return refuse(flags, 'netkit devices need kernel 6.7.0 or newer and CONFIG_NETKIT', `this is ${kernel}`)
  return wanted ? undefined : { kind: 'silent', change: { tcx: true } }
}

const tcx: Gate = ({ tcx: wanted, kernel }) =>
  wanted && !atLeast(kernel, '6.6')
    ? fall(['enable-tcx'], 'tcx is not supported by the kernel, programs are attached with legacy tc', {
        tcx: false,
      })
    : undefined

const bbr: Gate = ({ bbr: wanted, bandwidthManager, kernel, bpfHostRouting }) => {
  if (!wanted) return undefined
  // the manager does not look at it unless it is on itself
  if (!bandwidthManager) return { kind: 'silent', change: { bbr: false } }
  if (!atLeast(kernel, '5.18'))
    return refuse(
      ['enable-bbr'],
      'cannot enable --enable-bbr, needs kernel 5.18 or newer',
      `this is ${kernel}`,
    )
  return bpfHostRouting
    ? undefined
    : refuse(['enable-bbr'], "BPF bandwidth manager's BBR setup requires BPF host routing.")
}

const bigTcpFlags = { four: 'enable-ipv4-big-tcp', six: 'enable-ipv6-big-tcp' } as const

/** pkg/datapath/linux/bigtcp validateConfig(): looked at before host routing falls back to anything. No kernel has BIG TCP in tunnels so far. */
const bigTcpOptions: Gate = ({
  bigTcp4,
  bigTcp6,
  dsrDispatch,
  routing,
  encryption: encrypted,
  bpfHostRouting,
}) => {
  if (!bigTcp4 && !bigTcp6) return undefined
  const flags = [bigTcp4 ? bigTcpFlags.four : bigTcpFlags.six]
  if (dsrDispatch === 'ipip')
    return refuse(flags, "bpf-lb-dsr-dispatch ipip creates IPIP tunnels that aren't compatible with BIG TCP")
  if (routing === 'tunnel')
    return refuse(flags, 'BIG TCP in tunneling mode requires pending kernel support', '`routing native`')
  if (dsrDispatch !== 'opt')
    return refuse(flags, 'BIG TCP with bpf-lb-dsr-dispatch geneve requires pending kernel support')
  if (encrypted === 'ipsec') return refuse(flags, 'BIG TCP is not supported with encryption enabled')
  return bpfHostRouting ? undefined : refuse(flags, 'BIG TCP is not supported with legacy host routing')
}

/** startBIGTCP() */
const bigTcp4: Gate = (config) =>
  config.bigTcp4 && !atLeast(config.kernel, '6.3')
    ? fall([bigTcpFlags.four], `Cannot enable --${bigTcpFlags.four}, needs kernel 6.3 or newer`, {
        bigTcp4: false,
      })
    : undefined

const bigTcp6: Gate = (config) =>
  config.bigTcp6 && !atLeast(config.kernel, '5.19')
    ? fall([bigTcpFlags.six], `Cannot enable --${bigTcpFlags.six}, needs kernel 5.19 or newer`, {
        bigTcp6: false,
      })
    : undefined

const family: Gate = ({ ipv4, ipv6 }) =>
  ipv4 || ipv6 ? undefined : refuse(['enable-ipv4', 'enable-ipv6'], 'either IPv4 or IPv6 must be enabled')

/** In the order in which the agent decides. */
export const gates: readonly Gate[] = [
  ...[
    family,
    bigTcpOptions,
    nodePortWithIpsec,
    dispatchOfOld,
    nodePortOnOldKernel,
    tcpServicesOnOldKernel,
    udpServicesOnOldKernel,
  ],
  ...[affinityOnOldKernel, clockOnOldKernel, dsrInTunnelOfOld],
  ...[tunnelAndDsr, directRoutes, proxyNeedsRules, remoteMasquerade, nativeRange4, nativeRange6],
  ...[
    masqueradeOff,
    // 1.10 asks for what goes with NodePort first (initKubeProxyReplacementOptions(), finishKubeProxyReplacementInit())
    affinity,
    hostRouting,
    masqueradeOnOldKernel,
    masqueradeRouteSource,
    masqueradeAgent,
    gateway,
    noConntrackRules,
    encryption,
    strictEgress,
    bandwidth,
  ],
  ...[tproxy, fragments, netkit, tcx, bbr, bigTcp4, bigTcp6],
]
