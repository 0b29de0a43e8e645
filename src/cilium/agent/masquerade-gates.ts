// What the agents make of contradictory settings of masquerading (1.19: daemon/cmd/daemon.go initAndValidateDaemonConfig(),
// pkg/option/config.go checkIPv4NativeRoutingCIDR(); 1.10: daemon/cmd/daemon.go).
import type { AgentConfig } from './config.ts'
import { isOld } from './legacy-gates.ts'
import { fall, type Gate, refuse, type Verdict } from './verdict.ts'

export const remoteMasquerade: Gate = ({ remoteNodeMasquerade, bpfMasquerade }) =>
  remoteNodeMasquerade && !bpfMasquerade
    ? refuse(
        ['enable-remote-node-masquerade'],
        'Option remote-node-masquerade requires BPF masquerade to be enabled',
        '`bpf-masquerade on`',
      )
    : undefined

/** Of 1.10 only IPv4 counts: its BPF masquerading has no other. */
const masquerades = (config: AgentConfig): boolean =>
  config.masquerade4 || (config.masquerade6 && !isOld(config))

/** What to write for one of these switches, as the agents name it. */
const either = '(--enable-ipv4-masquerade="true" or --enable-ipv6-masquerade="true")'

export const masqueradeOff: Gate = (config) => {
  if (!config.bpfMasquerade || masquerades(config)) return undefined
  const flags = ['enable-bpf-masquerade', 'enable-ipv4-masquerade']
  if (!isOld(config)) return refuse(flags, `BPF masquerade requires ${either}`, '`bpf-masquerade off`')
  return fall(
    flags,
    'Auto-disabling "enable-bpf-masquerade" feature since IPv4 masquerading was generally disabled',
    { bpfMasquerade: false },
  )
}

export const masqueradeRouteSource: Gate = ({ masqueradeToRouteSource, bpfMasquerade }) =>
  masqueradeToRouteSource && bpfMasquerade
    ? refuse(
        ['enable-masquerade-to-route-source', 'enable-bpf-masquerade'],
        'BPF masquerading to route source (--enable-masquerade-to-route-source="true") currently not supported with BPF-based masquerading (--enable-bpf-masquerade="true")',
        '`bpf-masquerade off`',
      )
    : undefined

export const masqueradeAgent: Gate = (config) => {
  if (!config.ipMasqAgent || (config.bpfMasquerade && masquerades(config))) return undefined
  const masquerade = isOld(config) ? '--masquerade="true"' : either
  return refuse(
    ['enable-ip-masq-agent'],
    `BPF ip-masq-agent requires ${masquerade} and --enable-bpf-masquerade="true"`,
    '`bpf-masquerade on`',
  )
}

/**
 * Native routing without the range that is routed so. The agents do not start without it; a topology without it runs with
 * what agents of earlier versions took, the node's own range, and is told that pods of other nodes see masqueraded packets.
 */
function nativeRange(config: AgentConfig, family: 4 | 6): Verdict | undefined {
  const { routing, ipMasqAgent } = config
  const needed = family === 4 ? config.ipv4 && config.masquerade4 : config.ipv6 && config.masquerade6
  const given = family === 4 ? config.nativeRoutingCidr4 : config.nativeRoutingCidr6
  if (routing !== 'native' || !needed || given !== undefined) return undefined
  if (isOld(config) ? family === 6 : ipMasqAgent) return undefined
  const option = isOld(config) ? 'native-routing-cidr' : `ipv${family}-native-routing-cidr`
  return {
    kind: 'fallback',
    flags: [`ipv${family}-native-routing-cidr`, isOld(config) ? 'tunnel' : 'routing-mode'],
    message: `native routing cidr must be configured with option --${option}, or the agent does not start; here the node's own range of pods is taken, and what goes to pods of other nodes is masqueraded`,
    hint: family === 4 ? '`native-routing-cidr 10.0.0.0/8`' : '`ipv6NativeRoutingCIDR = fd00::/16`',
    change: {},
  }
}

export const nativeRange4: Gate = (config) => nativeRange(config, 4)
export const nativeRange6: Gate = (config) => nativeRange(config, 6)
