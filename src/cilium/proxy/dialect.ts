// What the proxies of the two versions do otherwise. 1.19: cilium-envoy of pkg/envoy/xds_server.go; 1.10: Envoy 1.17 with the
// filters of that time (cilium v1.10 pkg/envoy/server.go, pkg/fqdn/dnsproxy; cilium/proxy of May 2021).
import { anyIpv6, type IpAddress, parseIp } from '../../net/address.ts'
import type { AgentConfig, CiliumVersion } from '../agent/config.ts'
import { reservedIdentity } from '../agent/identity.ts'

/** A socket of a proxy: its family and what it is bound to. */
export interface ProxyBinding {
  readonly family: 4 | 6
  readonly address: IpAddress
}

/** Who asks whom, where an egress proxy chooses its source. */
export interface Upstreamed {
  /** The server is an endpoint of this node. */
  readonly local: boolean
  readonly destinationIdentity: number
}

/** Why no answer came. */
export type ResetReason = 'refused' | 'timeout' | 'termination' | 'reset'

export interface ProxyDialect {
  readonly version: CiliumVersion
  readonly bindings: (families: readonly (4 | 6)[]) => readonly ProxyBinding[]
  /** Whether Envoy's egress listener keeps the client's address and port towards the server. */
  readonly keepsSource: (config: AgentConfig, target: Upstreamed) => boolean
  /** IP_TRANSPARENT on connections to servers, whichever address they have. */
  readonly alwaysTransparent: boolean
  /** A denial is one record, with the answer's code; else it is a denied request and its response. */
  readonly deniedOnce: boolean
  /** Records tell responses as the filter saw them, before the connection manager has added its headers. */
  readonly logsBeforeManager: boolean
  /** The body of a 503. */
  readonly unavailable: (why: ResetReason) => string
  /** The DNS proxy asks as the host does: without a mark, under a number of its own; what fails is REFUSED. */
  readonly plainDnsClient: boolean
}

const failure = 'upstream connect error or disconnect/reset before headers. '

const reasons: Readonly<Record<CiliumVersion, Readonly<Record<ResetReason, string>>>> = {
  '1.10': {
    refused: 'reset reason: connection failure',
    timeout: 'reset reason: local reset',
    termination: 'reset reason: connection termination',
    reset: 'reset reason: remote reset',
  },
  '1.19': {
    refused:
      'retried and the latest reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused',
    timeout: 'retried and the latest reset reason: connection timeout',
    termination: 'retried and the latest reset reason: connection termination',
    reset: 'retried and the latest reset reason: remote reset',
  },
}

const loopback = { 4: 0x7f00_0001 as IpAddress, 6: parseIp('::1') as IpAddress } as const

/** Both versions. */
export const proxyDialects: Readonly<Record<CiliumVersion, ProxyDialect>> = {
  '1.10': {
    version: '1.10',
    // `::` with ipv4_compat: one socket for both families, whichever are on
    bindings: () => [{ family: 6, address: anyIpv6 }],
    // a tunnel carries the identity; xt_socket is there (SupportsOriginalSourceAddr())
    keepsSource: ({ routing }, { local, destinationIdentity }) =>
      routing === 'native' && !local && destinationIdentity !== reservedIdentity.world,
    alwaysTransparent: false,
    deniedOnce: true,
    logsBeforeManager: true,
    unavailable: (why) => `${failure}${reasons['1.10'][why]}`,
    plainDnsClient: true,
  },
  '1.19': {
    version: '1.19',
    bindings: (families) => families.map((family) => ({ family, address: loopback[family] })),
    keepsSource: (_, { local }) => !local,
    alwaysTransparent: true,
    deniedOnce: false,
    logsBeforeManager: false,
    unavailable: (why) => `${failure}${reasons['1.19'][why]}`,
    plainDnsClient: false,
  },
}
