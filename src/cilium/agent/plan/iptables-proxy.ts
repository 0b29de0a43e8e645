// The rules that lead packets to the L7 proxy and keep conntrack out of what it sends (cilium pkg/datapath/iptables/iptables.go).
import type { AgentConfig } from '../config.ts'
import { comment, deliveryDevice, hex, mark, marked, notrack, proxyMask, type Rule } from './iptables-rule.ts'
import { hostDevice } from './routes.ts'

/** A listener of the proxy: its name and port. */
export interface ProxyListener {
  readonly name: string
  readonly port: number
}

const proxyNoIdMask = 0xfffffeff
const proxyBack = `-m mark --mark ${marked(mark.proxy, proxyNoIdMask)}`

function noTrackBack(out: string): Rule {
  return [
    'raw',
    `-A CILIUM_OUTPUT_raw ${out}${proxyBack} ${comment('cilium: NOTRACK for proxy return traffic')} ${notrack}`,
  ]
}

/** NOTRACK for packets that the proxy sends back to the client, and on to the server. */
function fromProxyRules(device: string): readonly Rule[] {
  const on = marked(mark.epid, proxyMask)
  return [
    noTrackBack(`-o ${device} `),
    [
      'raw',
      `-A CILIUM_OUTPUT_raw -o ${device} -m mark --mark ${on} ${comment('cilium: NOTRACK for L7 proxy upstream traffic')} ${notrack}`,
    ],
  ]
}

/** With IPsec the egress proxy's packets go by cilium_host, to be encrypted. */
const noTrackForward: Rule = [
  'raw',
  `-A CILIUM_OUTPUT_raw -o ${hostDevice} -m mark --mark ${marked(mark.egress)} ${comment('cilium: NOTRACK for proxy forward traffic')} ${notrack}`,
]

/** What comes with the mark that says so is for the proxy. */
function toProxyRules(): readonly Rule[] {
  const to = `-m mark --mark ${marked(mark.toProxy)}`
  return [
    ['raw', `-A CILIUM_PRE_raw ${to} ${comment('cilium: NOTRACK for proxy traffic')} ${notrack}`],
    ['filter', `-A CILIUM_INPUT ${to} ${comment('cilium: ACCEPT for proxy traffic')} -j ACCEPT`],
  ]
}

/** What belongs to a socket of the proxy goes there. */
function socketRule(match: string): Rule {
  return [
    'mangle',
    `-A CILIUM_PRE_mangle -m socket --transparent${match} ${comment('cilium: any->pod redirect proxied traffic to host proxy')} -j MARK --set-mark ${hex(mark.toProxy)}`,
  ]
}

/** installStaticProxyRules() of 1.10: nothing of what the proxy sends on to servers, which conntrack follows. */
function legacyProxyRules(family: 4 | 6): readonly Rule[] {
  return [
    ...toProxyRules(),
    ...(family === 6 ? [''] : ['-o lxc+ ', `-o ${hostDevice} `]).map(noTrackBack),
    [
      'filter',
      `-A CILIUM_OUTPUT ${proxyBack} ${comment('cilium: ACCEPT for proxy return traffic')} -j ACCEPT`,
    ],
    socketRule(''),
  ]
}

/** installStaticProxyRules(): what holds for all listeners. */
export function staticProxyRules(config: AgentConfig, family: 4 | 6): readonly Rule[] {
  if (config.version === '1.10') return legacyProxyRules(family)
  const delivery = deliveryDevice(config)
  const from = `-m mark --mark ${marked(mark.proxy, proxyMask)}`
  const upstream = `-m mark --mark ${marked(mark.epid, proxyMask)}`
  const skip = ` ! -o lo -m mark ! --mark ${marked(mark.encrypt)} -m mark ! --mark ${marked(mark.skipTproxy)}`
  return [
    ...toProxyRules(),
    ...(delivery === hostDevice ? [] : fromProxyRules(delivery)),
    ...fromProxyRules(hostDevice),
    ...(config.encryption === 'ipsec' ? [noTrackForward] : []),
    ['filter', `-A CILIUM_OUTPUT ${from} ${comment('cilium: ACCEPT for proxy traffic')} -j ACCEPT`],
    ...(family === 6
      ? []
      : [
          [
            'filter',
            `-A CILIUM_OUTPUT ${upstream} ${comment('cilium: ACCEPT for l7 proxy upstream traffic')} -j ACCEPT`,
          ] as Rule,
        ]),
    socketRule(skip),
  ]
}

/** The port of a listener as the mark carries it: in network byte order, in the upper half. */
function proxyMark(port: number): number {
  const swapped = ((port & 0xff) << 8) | (port >>> 8)
  return ((swapped << 16) | mark.toProxy) >>> 0
}

/** TPROXY to each listener by its mark. 1.10 names no address: the kernel takes the device's own, or the packet's destination. */
export function listenerRules(
  listeners: readonly ProxyListener[],
  family: 4 | 6,
  { version }: AgentConfig,
): readonly Rule[] {
  const on = version === '1.10' ? '' : `--on-ip ${family === 4 ? '127.0.0.1' : '::1'} `
  return listeners.flatMap(({ name, port }) =>
    ['tcp', 'udp'].map((protocol): Rule => {
      const match = `-p ${protocol} -m mark --mark 0x${proxyMark(port).toString(16)}`
      const target = `-j TPROXY --tproxy-mark 0x200 ${on}--on-port ${port}`
      return [
        'mangle',
        `-A CILIUM_PRE_mangle ${match} ${comment(`cilium: TPROXY to host ${name} proxy`)} ${target}`,
      ]
    }),
  )
}
