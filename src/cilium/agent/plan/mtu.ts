// What the agent takes off the MTU for its encapsulation (`facts` 1.5; cilium pkg/mtu).
import type { AgentConfig } from '../config.ts'

/** Headers of a tunnel by the family of what carries it. */
export const tunnelOverhead = { 4: 50, 6: 70 } as const
const ipsecOverhead = 77
const wireguardOverhead = 80
const maxRouteMtu = 65_520

/** The MTU of devices and that of routes, which leaves room for the tunnel's headers. */
export function mtusOf(
  config: AgentConfig,
  base: number,
  underlay: 4 | 6,
): { readonly device: number; readonly route: number } {
  const device = config.mtu ?? base
  const tunnel = config.routing === 'tunnel' ? tunnelOverhead[config.version === '1.10' ? 4 : underlay] : 0
  // 1.10 knows of IPsec alone (NewConfiguration())
  const wireguard = config.version === '1.10' ? 0 : wireguardOverhead
  const crypto = { off: 0, ipsec: ipsecOverhead, wireguard }[config.encryption]
  return { device, route: Math.min(device - tunnel - crypto, maxRouteMtu) }
}
