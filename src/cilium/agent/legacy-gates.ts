// What the agent of 1.10 refuses or leaves out on old kernels, rule by rule (cilium v1.10 daemon/cmd/kube_proxy_replacement.go).
// With `probe` what is not possible is left out; otherwise it does not start.
import type { AgentConfig } from './config.ts'
import { atLeast, fall, type Gate, refuse } from './verdict.ts'

/** The rules of 1.10. */
export const isOld = ({ version }: AgentConfig): boolean => version === '1.10'

/** Kernels whose cgroup hooks carry kube-proxy replacement: 4.19.57, 5.1.16, 5.2. */
function hasSocketHooks({ kernel }: AgentConfig): boolean {
  if (atLeast(kernel, '5.2')) return true
  return atLeast(kernel, '5.1') ? atLeast(kernel, '5.1.16') : atLeast(kernel, '4.19.57')
}

/** NodePort in BPF asks for bpf_fib_lookup(). */
const nodePortKernel = '4.17'
const nodePortNeeds = 'BPF NodePort services needs kernel 4.17.0 or newer.'
const udpNeeds =
  'BPF host reachable services for UDP needs kernel 4.19.57, 5.1.16, 5.2.0 or newer. If you run an older kernel and only need TCP, then specify: --host-reachable-services-protos=tcp and --kube-proxy-replacement=partial'

/** What is to be encrypted passes the stack, which NodePort does not let it do. */
export const nodePortWithIpsec: Gate = (config) => {
  if (!isOld(config) || !config.kubeProxyReplacement || config.encryption !== 'ipsec') return undefined
  const flags = ['enable-ipsec']
  const needs = 'IPSec cannot be used with BPF NodePort.'
  if (!config.kubeProxyProbe) return refuse(flags, needs, '`kubeProxyReplacement = probe`')
  return fall(flags, `${needs} Disabling BPF NodePort feature.`, {
    kubeProxyReplacement: false,
    bpfHostRouting: false,
  })
}

/** What else encryption asks for (daemon_main.go initEnv(), runDaemon()). */
export function legacyEncryption(config: AgentConfig): ReturnType<Gate> {
  const { encryption, kernel, routing, hostFirewall, l7Proxy } = config
  if (encryption === 'wireguard') {
    if (l7Proxy)
      return refuse(
        ['encryption', 'enable-wireguard'],
        'Wireguard (--enable-wireguard) is not compatible with L7 proxy (--enable-l7-proxy)',
        '`l7-proxy off`',
      )
    return atLeast(kernel, '5.6')
      ? undefined
      : refuse(['encryption', 'enable-wireguard'], `WireGuard needs kernel 5.6 or newer, this is ${kernel}`)
  }
  if (encryption !== 'ipsec') return undefined
  const flags = ['encryption', 'enable-ipsec']
  if (routing === 'tunnel' && !atLeast(kernel, '4.19'))
    return refuse(
      flags,
      'IPSec with tunneling requires support for xfrm state output masks (Linux 4.19 or later).',
    )
  return hostFirewall
    ? refuse(['enable-host-firewall'], 'IPSec cannot be used with the host firewall.')
    : undefined
}

/** Without NodePort in BPF the rest of the datapath is as before, but routing stays in the stack. */
export const nodePortOnOldKernel: Gate = (config) => {
  if (!isOld(config) || !config.kubeProxyReplacement || atLeast(config.kernel, nodePortKernel))
    return undefined
  const flags = ['kube-proxy-replacement']
  if (!config.kubeProxyProbe) return refuse(flags, nodePortNeeds, '`kubeProxyReplacement = probe`')
  return fall(flags, `${nodePortNeeds} Disabling BPF NodePort.`, {
    kubeProxyReplacement: false,
    bpfHostRouting: false,
  })
}

const tcpNeeds = 'BPF host reachable services for TCP needs kernel 4.17.0 or newer.'

/** A feature that a strict agent insists on. */
function probed(config: AgentConfig, flags: readonly string[], needs: string, change: Partial<AgentConfig>) {
  return config.kubeProxyProbe
    ? fall(flags, `${needs} Disabling the feature.`, change)
    : refuse(flags, needs, '`kubeProxyReplacement = probe`')
}

const socketFlags = ['kube-proxy-replacement', 'bpf-lb-sock']

/** Services for connections of the host's own sockets, whether NodePort is on or not. */
export const tcpServicesOnOldKernel: Gate = (config) => {
  if (!isOld(config) || config.socketLb === 'off' || atLeast(config.kernel, nodePortKernel)) return undefined
  return probed(config, socketFlags, tcpNeeds, {})
}

/** The same for datagrams: without both, services are left to packets. */
export const udpServicesOnOldKernel: Gate = (config) => {
  if (!isOld(config) || config.socketLb === 'off' || hasSocketHooks(config)) return undefined
  return probed(config, socketFlags, udpNeeds, { socketLb: 'off' })
}

/** initClockSourceOption(): programs must be able to read ticks (bpf_jiffies64() of 5.6); nothing is said where they are not. */
export const clockOnOldKernel: Gate = (config) =>
  isOld(config) && config.clockSource === 'jiffies' && !atLeast(config.kernel, '5.6')
    ? { kind: 'silent', change: { clockSource: 'ktime' } }
    : undefined

/** LRU maps came with 4.10. */
export const affinityOnOldKernel: Gate = (config) => {
  if (!isOld(config) || !config.sessionAffinity || atLeast(config.kernel, '4.10')) return undefined
  const needs = 'SessionAffinity feature requires BPF LRU maps.'
  return probed(config, ['enable-session-affinity'], needs, { sessionAffinity: false })
}

/** What is dispatched by DSR: the IP option; IPIP is for load balancers that are nothing else. */
export const dispatchOfOld: Gate = (config) => {
  const { kubeProxyReplacement, lbMode, dsrDispatch } = config
  if (!isOld(config) || !kubeProxyReplacement || lbMode === 'snat' || dsrDispatch === 'opt') return undefined
  const flags = ['bpf-lb-dsr-dispatch']
  const hint = '`dsr-dispatch opt`'
  if (lbMode === 'hybrid' || dsrDispatch !== 'ipip')
    return refuse(flags, `Invalid value for --bpf-lb-dsr-dispatch: ${dsrDispatch}`, hint)
  return refuse(flags, 'DSR dispatch mode ipip only supported for --datapath-mode=lb-only', hint)
}

/** NodePort in a tunnel: the agent goes on with SNAT, and does not start with XDP. */
export const dsrInTunnelOfOld: Gate = (config) => {
  const { kubeProxyReplacement, lbMode, lbAcceleration, routing } = config
  if (!isOld(config) || !kubeProxyReplacement || routing !== 'tunnel') return undefined
  if (lbAcceleration !== 'disabled') {
    const needs =
      'Cannot use NodePort acceleration with tunneling. Either run cilium-agent with --node-port-acceleration=disabled or --tunnel=disabled'
    return refuse(['bpf-lb-acceleration'], needs, '`routing native`')
  }
  if (lbMode === 'snat') return undefined
  const message = `Disabling NodePort's "${lbMode}" mode feature due to tunneling mode being enabled`
  return fall(['bpf-lb-mode'], message, { lbMode: 'snat' })
}

/** Why 1.10 leaves masquerading to iptables, for which packets need the host's stack: its kernel, NodePort, whose code it is, and in tunnels services at the socket. */
function legacyMasqueradeReason({ kernel, kubeProxyReplacement, routing, socketLb }: AgentConfig) {
  if (!atLeast(kernel, '4.19')) return 'BPF masquerade needs kernel 4.19 or newer.'
  if (!kubeProxyReplacement) return 'BPF masquerade requires NodePort (--enable-node-port="true").'
  if (routing === 'tunnel' && socketLb === 'off')
    return 'BPF masquerade requires --enable-host-reachable-services to be fully enabled (TCP and UDP).'
  return undefined
}

export const masqueradeOnOldKernel: Gate = (config) => {
  const reason = isOld(config) && config.bpfMasquerade ? legacyMasqueradeReason(config) : undefined
  if (reason === undefined) return undefined
  const message = `${reason} Falling back to iptables-based masquerading.`
  const change = { bpfMasquerade: false, bpfHostRouting: false }
  const flags = ['enable-bpf-masquerade']
  if (!config.bpfHostRouting) return fall(flags, message, change)
  const stack =
    'BPF masquerade could not be enabled. Falling back to legacy host routing (--enable-host-legacy-routing="true").'
  return fall(flags, `${message} ${stack}`, change)
}

/** Why 1.10 leaves routing to the host's stack, in the order in which its agent asks. */
export function legacyRoutingReason(config: AgentConfig, iptables: boolean): string | undefined {
  const { encryption, endpointRoutes, kernel } = config
  const needs = (what: string): string => `BPF host routing requires ${what}.`
  if (encryption === 'ipsec') return 'BPF host routing is incompatible with enable-ipsec.'
  if (iptables) return needs('enable-bpf-masquerade')
  if (endpointRoutes) return 'BPF host routing is currently not supported with enable-endpoint-routes.'
  if (encryption === 'wireguard') {
    return 'BPF host routing is currently not compatible with Wireguard (--enable-wireguard).'
  }
  return atLeast(kernel, '5.10') ? undefined : needs('kernel 5.10 or newer')
}
