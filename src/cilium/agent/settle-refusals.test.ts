import { expect, test } from 'vitest'
import { fullHost, of } from './settle.test-helper.ts'

test.each([
  ['', '1.19', '5.4', 'Cilium 1.19 needs Linux 5.10 or newer, this is 5.4'],
  ['', '1.10', '4.9.16', 'Cilium 1.10 needs Linux 4.9.17 or newer, this is 4.9.16'],
  [
    'kube-proxy-replacement on; lb-mode dsr',
    '1.19',
    undefined,
    'Node Port "dsr" mode cannot be used with vxlan tunneling.',
  ],
  [
    'kube-proxy-replacement on; lb-mode hybrid; --tunnel-protocol geneve',
    '1.19',
    undefined,
    'Tunnel routing with Node Port "hybrid" mode requires geneve dispatch.',
  ],
  [
    'kube-proxy-replacement on; lb-mode dsr; dsr-dispatch geneve; routing native; native-routing-cidr 10.0.0.0/8',
    '1.19',
    undefined,
    'Node Port "dsr" mode with "geneve" dispatch requires geneve tunnel protocol.',
  ],
  [
    'auto-direct-node-routes on',
    '1.19',
    undefined,
    'auto-direct-node-routes cannot be used with tunneling. Packets must be routed through the tunnel device.',
  ],
  [
    'egress-gateway on',
    '1.19',
    undefined,
    'egress gateway requires --enable-ipv4-masquerade="true" and --enable-bpf-masquerade="true"',
  ],
  [`${fullHost}; netkit on`, '1.19', '6.6', 'netkit devices need kernel 6.7.0 or newer and CONFIG_NETKIT'],
  [
    `${fullHost}; netkit on; --enable-bpf-tproxy true`,
    '1.19',
    '6.8',
    '--enable-bpf-tproxy=true cannot be used with --datapath-mode=netkit',
  ],
  [
    `${fullHost}; bandwidth-manager on; --enable-bbr true`,
    '1.19',
    '5.15',
    'cannot enable --enable-bbr, needs kernel 5.18 or newer',
  ],
  [
    'bandwidth-manager on; --enable-bbr true',
    '1.19',
    '5.18',
    "BPF bandwidth manager's BBR setup requires BPF host routing.",
  ],
  [
    'kube-proxy-replacement on; lb-acceleration native',
    '1.10',
    undefined,
    'Cannot use NodePort acceleration with tunneling. Either run cilium-agent with --node-port-acceleration=disabled or --tunnel=disabled',
  ],
  [
    'kube-proxy-replacement on; routing native; lb-mode hybrid; dsr-dispatch ipip',
    '1.10',
    undefined,
    'Invalid value for --bpf-lb-dsr-dispatch: ipip',
  ],
  [
    'kube-proxy-replacement on; routing native; lb-mode dsr; dsr-dispatch ipip',
    '1.10',
    undefined,
    'DSR dispatch mode ipip only supported for --datapath-mode=lb-only',
  ],
  ['--enable-ipv4-big-tcp true', '1.19', '6.8', 'BIG TCP in tunneling mode requires pending kernel support'],
  [
    'routing native; native-routing-cidr 10.0.0.0/8; --enable-ipv6-big-tcp true; host-routing legacy',
    '1.19',
    '6.8',
    'BIG TCP is not supported with legacy host routing',
  ],
  ['encryption wireguard; l7-proxy off', '1.10', '5.4', 'WireGuard needs kernel 5.6 or newer, this is 5.4'],
  [
    'encryption wireguard',
    '1.10',
    undefined,
    'Wireguard (--enable-wireguard) is not compatible with L7 proxy (--enable-l7-proxy)',
  ],
  [
    'encryption ipsec; kube-proxy-replacement off',
    '1.10',
    '4.14',
    'IPSec with tunneling requires support for xfrm state output masks (Linux 4.19 or later).',
  ],
  [
    'encryption ipsec; kube-proxy-replacement off; host-firewall on',
    '1.10',
    undefined,
    'IPSec cannot be used with the host firewall.',
  ],
  [
    'encryption ipsec; kube-proxy-replacement on',
    '1.10',
    undefined,
    'IPSec cannot be used with BPF NodePort.',
  ],
  [
    'ip-masq-agent on',
    '1.19',
    undefined,
    'BPF ip-masq-agent requires (--enable-ipv4-masquerade="true" or --enable-ipv6-masquerade="true") and --enable-bpf-masquerade="true"',
  ],
  [
    'ip-masq-agent on',
    '1.10',
    undefined,
    'BPF ip-masq-agent requires --masquerade="true" and --enable-bpf-masquerade="true"',
  ],
  [
    'bpf-masquerade on; masquerade off',
    '1.19',
    undefined,
    'BPF masquerade requires (--enable-ipv4-masquerade="true" or --enable-ipv6-masquerade="true")',
  ],
  [
    'bpf-masquerade on; --enable-masquerade-to-route-source true',
    '1.19',
    undefined,
    'BPF masquerading to route source (--enable-masquerade-to-route-source="true") currently not supported with BPF-based masquerading (--enable-bpf-masquerade="true")',
  ],
] as const)('%s (%s)', (text, version, kernel, message) => {
  const refused = of(text, version, kernel).notices.filter(({ kind }) => kind === 'refused')
  expect(refused.map((each) => each.message)).toEqual([message])
})
