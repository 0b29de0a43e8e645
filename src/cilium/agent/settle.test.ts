import { describe, expect, test } from 'vitest'
import type { CiliumVersion } from './config.ts'
import { endpointDefines, nodeDefines } from './defines.ts'
import { fullHost, of, said } from './settle.test-helper.ts'

describe('defaults', () => {
  test('an empty cluster tunnels in VXLAN and masquerades with iptables', () => {
    const { config, notices } = of('')
    expect(notices).toEqual([])
    expect(config).toMatchObject({
      routing: 'tunnel',
      tunnelProtocol: 'vxlan',
      tunnelPort: 8472,
      masquerade4: true,
      bpfMasquerade: false,
      kubeProxyReplacement: false,
      bpfHostRouting: false,
      monitorAggregation: 'none',
    })
    expect(nodeDefines(config)).not.toContain('ENABLE_NODEPORT')
  })
  test('example 1: with kube-proxy replacement and BPF masquerade the host is routed by BPF', () => {
    const { config } = of('routing tunnel vxlan; kube-proxy-replacement on; bpf-masquerade on')
    expect(nodeDefines(config)).toEqual(
      expect.arrayContaining([
        'ENABLE_HOST_ROUTING',
        'ENABLE_NODEPORT',
        'ENABLE_MASQUERADE_IPV4',
        'TUNNEL_MODE',
      ]),
    )
    expect(endpointDefines(config, { kind: 'pod', requiresEgressProgram: false })).toEqual([
      'ENABLE_ROUTING',
      'ENABLE_ARP_RESPONDER',
      'LOCAL_DELIVERY_METRICS',
    ])
  })
})

describe('fallbacks, in the agent’s words', () => {
  test('iptables masquerading keeps the host in the stack', () => {
    expect(said('kube-proxy-replacement on')).toEqual([
      'fallback: BPF host routing requires enable-bpf-masquerade. Falling back to legacy host routing (enable-host-legacy-routing=true).',
    ])
  })
  test('1.10 masquerades IPv4 only, and in a tunnel only with services at the socket', () => {
    expect(of('bpf-masquerade on; masquerade off; ipv6 on', '1.10').config.bpfMasquerade).toBe(false)
    expect(of('bpf-masquerade on; masquerade off; ipv6 on', '1.19').config.bpfMasquerade).toBe(true)
    const noSockets = 'kube-proxy-replacement on; bpf-masquerade on; socket-lb off'
    expect(said(noSockets, '1.10')[0]).toBe(
      'fallback: BPF masquerade requires --enable-host-reachable-services to be fully enabled (TCP and UDP). Falling back to iptables-based masquerading. BPF masquerade could not be enabled. Falling back to legacy host routing (--enable-host-legacy-routing="true").',
    )
    expect(of(`${noSockets}; routing native`, '1.10').config.bpfMasquerade).toBe(true)
  })
  test('native routing asks for its range, of each family that is masqueraded', () => {
    const asked = (text: string, version?: CiliumVersion): readonly (string | undefined)[] =>
      said(text, version).map((text) => /--(\S+-routing-cidr),/.exec(text)?.[1])
    const native = 'routing native; kube-proxy-replacement on; bpf-masquerade on'
    expect(asked(native)).toEqual(['ipv4-native-routing-cidr'])
    expect(asked(`${native}; ipv6 on; native-routing-cidr 10.0.0.0/8`)).toEqual(['ipv6-native-routing-cidr'])
    expect(asked(`${native}; native-routing-cidr 10.0.0.0/8`)).toEqual([])
    expect(asked(`${native}; ip-masq-agent on`)).toEqual([])
    expect(asked(`${native}; ipv6 on`, '1.10')).toEqual(['native-routing-cidr'])
  })
  test('1.10 over kernels', () => {
    const routed = (kernel: string) => of(fullHost, '1.10', kernel)
    expect(routed('5.10').config.bpfHostRouting).toBe(true)
    expect(routed('5.4').config.bpfHostRouting).toBe(false)
    expect(said(fullHost, '1.10', '5.4')).toContain(
      'fallback: BPF host routing requires kernel 5.10 or newer. Falling back to legacy host routing (enable-host-legacy-routing=true).',
    )
    // a version without its last number is the newest of its series
    expect(of(fullHost, '1.10', '4.19').config.kubeProxyReplacement).toBe(true)
    expect(said(fullHost, '1.10', '4.19.56')[0]).toContain(
      'refused: BPF host reachable services for UDP needs kernel 4.19.57, 5.1.16, 5.2.0 or newer.',
    )
    expect(said(fullHost, '1.10', '4.9')[0]).toBe(
      'refused: BPF NodePort services needs kernel 4.17.0 or newer.',
    )
    expect(said('bpf-masquerade on', '1.10', '4.9.17')).toEqual(
      expect.arrayContaining([
        'fallback: BPF masquerade needs kernel 4.19 or newer. Falling back to iptables-based masquerading.',
      ]),
    )
  })
  test('with `probe` 1.10 does what the kernel can', () => {
    const probe = '--kube-proxy-replacement probe; bpf-masquerade on'
    const on = (kernel: string) => of(probe, '1.10', kernel).config
    expect(on('4.9')).toMatchObject({ kubeProxyReplacement: false, bpfMasquerade: false, socketLb: 'off' })
    expect(on('4.19.56')).toMatchObject({ kubeProxyReplacement: true, bpfMasquerade: false, socketLb: 'off' })
    expect(on('5.10')).toMatchObject({ kubeProxyReplacement: true, bpfHostRouting: true, socketLb: 'on' })
    expect(said(probe, '1.10', '4.9')).toEqual(
      expect.arrayContaining([
        'fallback: BPF NodePort services needs kernel 4.17.0 or newer. Disabling BPF NodePort.',
        'fallback: BPF host reachable services for TCP needs kernel 4.17.0 or newer. Disabling the feature.',
        'fallback: SessionAffinity feature requires BPF LRU maps. Disabling the feature.',
      ]),
    )
  })
  test('1.10 asks for what stands against routing in BPF one after the other', () => {
    const against = (settings: string) =>
      said(settings, '1.10', '5.4').find((line) => line.includes('host routing'))
    expect(against(`kube-proxy-replacement on`)).toContain('requires enable-bpf-masquerade')
    expect(against(`${fullHost}; endpoint-routes on`)).toContain('not supported with enable-endpoint-routes')
    // without NodePort routing is the stack's, and nothing is said of it
    const off = 'kube-proxy-replacement off; bpf-masquerade on'
    expect(against(off)).toBeUndefined()
    expect(said(off, '1.10', '5.4')).toEqual([
      'fallback: BPF masquerade requires NodePort (--enable-node-port="true"). Falling back to iptables-based masquerading.',
    ])
  })
  test('1.10 replaces nothing of kube-proxy unless asked, as its chart', () => {
    expect(of('', '1.10', '5.10').config).toMatchObject({ kubeProxyReplacement: false, socketLb: 'off' })
    expect(said('', '1.10', '5.10')).toEqual([])
  })
  test('1.10 with IPsec leaves NodePort out', () => {
    const probe = '--kube-proxy-replacement probe; encryption ipsec'
    expect(said(probe, '1.10', '5.10')).toContain(
      'fallback: IPSec cannot be used with BPF NodePort. Disabling BPF NodePort feature.',
    )
    expect(of(probe, '1.10', '5.10').config.kubeProxyReplacement).toBe(false)
    expect(said('encryption ipsec', '1.10', '5.10')).toEqual([])
  })
  test('bandwidth manager, tcx', () => {
    expect(of('bandwidth-manager on', '1.10', '4.19').config.bandwidthManager).toBe(false)
    expect(said('host-firewall on; encryption ipsec')).toContain(
      'refused: IPSec cannot be used with the host firewall.',
    )
    expect(said(`bandwidth-manager on; encryption ipsec`)).toContain(
      'fallback: The bandwidth manager cannot be used with IPSec. Disabling the bandwidth manager.',
    )
    expect(of('bandwidth-manager on; --enable-bbr true', '1.19', '5.15').config.bandwidthManager).toBe(true)
    expect(said('--enable-bbr true', '1.19', '5.15')).not.toContainEqual(
      expect.stringContaining('enable-bbr'),
    )
    expect(of(`${fullHost}; netkit on; --enable-tcx false`, '1.19', '6.7').config).toMatchObject({
      datapathMode: 'netkit',
      tcx: true,
    })
    expect(of('', '1.19', '6.5').config.tcx).toBe(false)
    expect(of('', '1.19', '6.6').config.tcx).toBe(true)
  })
  test('the clock of entries: 1.10 asks what programs can read', () => {
    const clock = (settings: string, version: '1.10' | '1.19', kernel: string) =>
      of(settings, version, kernel).config.clockSource
    expect(clock('', '1.19', '6.6')).toBe('ktime')
    expect(clock('--enable-bpf-clock-probe true', '1.19', '6.6')).toBe('jiffies')
    expect(clock('--enable-bpf-clock-probe true', '1.10', '5.6')).toBe('jiffies')
    expect(clock('--enable-bpf-clock-probe true', '1.10', '5.5')).toBe('ktime')
  })
})

describe('DSR of 1.10', () => {
  const on = 'kube-proxy-replacement on'
  test.each(['dsr', 'hybrid'])('%s in a tunnel gives way to SNAT, with a warning', (mode) => {
    const { config, notices } = of(`${on}; bpf-masquerade on; lb-mode ${mode}`, '1.10')
    expect(config.lbMode).toBe('snat')
    expect(notices).toMatchObject([
      {
        kind: 'fallback',
        message: `Disabling NodePort's "${mode}" mode feature due to tunneling mode being enabled`,
      },
    ])
  })
  test('without a tunnel it stays', () => {
    expect(of(`${on}; routing native; lb-mode dsr`, '1.10').config.lbMode).toBe('dsr')
  })
})

test('BIG TCP is warned of for each family that the kernel has not', () => {
  const native =
    'kube-proxy-replacement on; bpf-masquerade on; routing native; native-routing-cidr 10.0.0.0/8'
  const both = `${native}; --enable-ipv4-big-tcp true; --enable-ipv6-big-tcp true`
  const told = (kernel: string): readonly string[] =>
    said(both, '1.19', kernel).filter((line) => line.includes('big-tcp'))
  expect(told('6.3')).toEqual([])
  expect(told('5.19')).toEqual(['fallback: Cannot enable --enable-ipv4-big-tcp, needs kernel 6.3 or newer'])
  expect(told('5.18')).toEqual([
    'fallback: Cannot enable --enable-ipv4-big-tcp, needs kernel 6.3 or newer',
    'fallback: Cannot enable --enable-ipv6-big-tcp, needs kernel 5.19 or newer',
  ])
})
