// The rules that the agent writes with iptables, word by word: chains CILIUM_* and the feeders into them (cilium
// pkg/datapath/iptables/iptables.go).
import { formatIp, isIpv4 } from '../../../net/address.ts'
import { formatPrefix, isIpv4Prefix, networkOf } from '../../../net/prefix.ts'
import type { AgentConfig } from '../config.ts'
import type { NodeAddresses } from '../node-addresses.ts'
import { noTrackForward } from './ipsec.ts'
import type { TablePlan } from './plan.ts'
import { hostDevice, netDevice } from './routes.ts'

/** A listener of the proxy: its name and port. */
export interface ProxyListener {
  readonly name: string
  readonly port: number
}

const hex = (value: number): string => `0x${value.toString(16).padStart(6, '0')}`
const marked = (mark: number, mask = 0xf00): string => `${hex(mark)}/${hex(mask)}`

const mark = {
  toProxy: 0x200,
  overlay: 0x400,
  skipTproxy: 0x800,
  epid: 0x800,
  proxy: 0xa00,
  egress: 0xb00,
  host: 0xc00,
  decrypt: 0xd00,
  encrypt: 0xe00,
  identity: 0xf00,
} as const
const proxyMask = 0xe00
const proxyNoIdMask = 0xfffffeff

const comment = (text: string): string => `-m comment --comment "${text}"`
const notrack = '-j CT --notrack'

/** Chains by table, in the order in which the agent makes them. */
const chains = [
  { name: 'CILIUM_INPUT', table: 'filter', hook: 'INPUT', v6: true },
  { name: 'CILIUM_OUTPUT', table: 'filter', hook: 'OUTPUT', v6: true },
  { name: 'CILIUM_OUTPUT_raw', table: 'raw', hook: 'OUTPUT', v6: true },
  { name: 'CILIUM_POST_nat', table: 'nat', hook: 'POSTROUTING', v6: true },
  { name: 'CILIUM_OUTPUT_nat', table: 'nat', hook: 'OUTPUT', v6: false },
  { name: 'CILIUM_PRE_nat', table: 'nat', hook: 'PREROUTING', v6: false },
  { name: 'CILIUM_POST_mangle', table: 'mangle', hook: 'POSTROUTING', v6: false },
  { name: 'CILIUM_PRE_mangle', table: 'mangle', hook: 'PREROUTING', v6: true },
  { name: 'CILIUM_PRE_raw', table: 'raw', hook: 'PREROUTING', v6: true },
  { name: 'CILIUM_FORWARD', table: 'filter', hook: 'FORWARD', v6: true },
] as const

type Table = TablePlan['table']
type Rule = readonly [Table, string]

/** getDeliveryInterface: where packets for pods leave the stack. */
function deliveryDevice({ endpointRoutes }: AgentConfig): string {
  return endpointRoutes ? 'lxc+' : hostDevice
}

function tunnelRules({ routing, tunnelPort, version }: AgentConfig): readonly Rule[] {
  if (routing !== 'tunnel' || version === '1.10') return []
  const port = `-p udp --dport ${tunnelPort}`
  return [
    ['filter', `-A CILIUM_OUTPUT ${port} ${comment('cilium: ACCEPT for tunnel traffic')} -j ACCEPT`],
    ['raw', `-A CILIUM_PRE_raw ${port} ${comment('cilium: NOTRACK for tunnel traffic')} ${notrack}`],
    ['raw', `-A CILIUM_OUTPUT_raw ${port} ${comment('cilium: NOTRACK for tunnel traffic')} ${notrack}`],
  ]
}

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

function staticProxyRules(config: AgentConfig, family: 4 | 6): readonly Rule[] {
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

/** 1.10 names no address: the kernel takes the device's own, or the packet's destination. */
function listenerRules(
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

function forwardRules(config: AgentConfig): readonly Rule[] {
  const delivery = deliveryDevice(config)
  const out = (device: string): Rule => [
    'filter',
    `-A CILIUM_FORWARD -o ${device} ${comment(`cilium: any->cluster on ${device} forward accept`)} -j ACCEPT`,
  ]
  const into = (device: string, why = ' (nodeport)'): Rule => [
    'filter',
    `-A CILIUM_FORWARD -i ${device} ${comment(`cilium: cluster->any on ${device} forward accept${why}`)} -j ACCEPT`,
  ]
  return [
    out(hostDevice),
    into(hostDevice),
    into('lxc+', ''),
    into(netDevice),
    ...(delivery === hostDevice ? [] : [out(delivery), into(delivery)]),
  ]
}

/** Packets of the host's own sockets carry that they are the host's. */
function hostMarkRule({ version }: AgentConfig): Rule {
  const not = (match: string): string => `-m mark ! --mark ${match}`
  const other = [
    marked(mark.decrypt),
    marked(mark.encrypt),
    ...(version === '1.10' ? [] : [marked(mark.overlay)]),
    marked(mark.proxy, proxyMask),
    ...(version === '1.10' ? [] : [marked(mark.epid, proxyMask)]),
  ]
  const matches = other.map(not).join(' ')
  return [
    'filter',
    `-A CILIUM_OUTPUT ${matches} ${comment('cilium: host->any mark as from host')} -j MARK --set-xmark ${marked(mark.host)}`,
  ]
}

/** The set of the nodes' addresses, which native routing does not masquerade. */
export const nodeSet = { 4: 'cilium_node_set_v4', 6: 'cilium_node_set_v6' } as const

/** Whether the set of nodes is asked for; 1.10 masquerades to nodes, too. */
export function needsNodeSet(
  { routing, bpfMasquerade, version }: AgentConfig,
  masquerades: boolean,
): boolean {
  return version !== '1.10' && routing === 'native' && masquerades && !bpfMasquerade
}

function masqueradeRules(own: NodeAddresses, family: 4 | 6): readonly Rule[] {
  const { config, podCidrs } = own.node
  const on = family === 4 ? config.masquerade4 : config.masquerade6
  const range = podCidrs.find((prefix) => isIpv4Prefix(prefix) === (family === 4))
  const router = own.router.find((address) => isIpv4(address) === (family === 4))
  if (!on || config.bpfMasquerade || range === undefined || router === undefined) return []
  const alloc = formatPrefix(networkOf(range))
  const excluded = (family === 4 ? config.nativeRoutingCidr4 : config.nativeRoutingCidr6) ?? alloc
  const delivery = deliveryDevice(config)
  const source = formatIp(router)
  const loopback = family === 4 ? '127.0.0.1' : '::1'
  const nat = (text: string): Rule => ['nat', `-A CILIUM_POST_nat ${text}`]
  return [
    ...(needsNodeSet(config, on)
      ? [
          nat(
            `-s ${alloc} -m set --match-set ${nodeSet[family]} dst ${comment('exclude traffic to cluster nodes from masquerade')} -j ACCEPT`,
          ),
        ]
      : []),
    nat(
      `! -d ${excluded} -s ${alloc} ! -o cilium_+ ${comment('cilium masquerade non-cluster')} -j MASQUERADE`,
    ),
    nat(
      `-m mark --mark ${marked(mark.proxy, proxyMask)} ${comment('exclude proxy return traffic from masquerade')} -j ACCEPT`,
    ),
    ...(config.routing === 'tunnel'
      ? [
          nat(
            `! -s ${alloc} ! -d ${alloc} -o ${hostDevice} ${comment('cilium host->cluster masquerade')} -j SNAT --to-source ${source}`,
          ),
        ]
      : []),
    nat(
      `-s ${loopback} -o ${delivery} ${comment(`cilium host->cluster from ${loopback} masquerade`)} -j SNAT --to-source ${source}`,
    ),
    ...(config.endpointRoutes
      ? []
      : [
          nat(
            `-m mark --mark ${marked(mark.identity)} -o ${delivery} -m conntrack --ctstate DNAT ${comment('hairpin traffic that originated from a local pod')} -j SNAT --to-source ${source}`,
          ),
        ]),
  ]
}

/** What is encrypted or was just decrypted is neither tracked nor filtered (addCiliumNoTrackEncryptionRules()). */
function encryptionNoTrackRules({ encryption, version }: AgentConfig): readonly Rule[] {
  if (encryption === 'off' || (version === '1.10' && encryption !== 'ipsec')) return []
  return ['CILIUM_PRE_raw', 'CILIUM_OUTPUT_raw'].flatMap((chain) =>
    [mark.decrypt, mark.encrypt].map(
      (own): Rule => [
        'raw',
        `-I ${chain} -m mark --mark ${marked(own)} ${comment('cilium-encryption-notrack:')} ${notrack}`,
      ],
    ),
  )
}

/** addCiliumAcceptEncryptionRules(): in every chain of filter and nat, before what masquerades. */
function encryptionAcceptRules(
  { encryption, version }: AgentConfig,
  made: readonly (typeof chains)[number][],
): readonly Rule[] {
  if (encryption === 'off' || (version === '1.10' && encryption !== 'ipsec')) return []
  return made.flatMap(({ name, table }) =>
    table !== 'filter' && table !== 'nat'
      ? []
      : [mark.encrypt, mark.decrypt].map(
          (own): Rule => [
            table,
            `-A ${name} -m mark --mark ${marked(own)} ${comment(`exclude encrypt/decrypt marks from ${table} ${name} chain`)} -j ACCEPT`,
          ],
        ),
  )
}

/** install-no-conntrack-iptables-rules: pods' traffic is not tracked at all. */
function noConntrackRules(config: AgentConfig, family: 4 | 6): readonly Rule[] {
  const range = config.nativeRoutingCidr4
  if (!config.installNoConntrackRules || range === undefined || family === 6) return []
  const both = ['-s', '-d']
  return [
    ...both.map(
      (side): Rule => [
        'raw',
        `-I CILIUM_PRE_raw ${side} ${range} ${comment('cilium: NOTRACK for pod traffic')} ${notrack}`,
      ],
    ),
    ...both.map(
      (side): Rule => [
        'raw',
        `-I CILIUM_OUTPUT_raw ${side} ${range} ${comment('cilium: NOTRACK for pod traffic')} ${notrack}`,
      ],
    ),
  ]
}

/** All tables of a node. */
export function iptablesPlan(own: NodeAddresses, listeners: readonly ProxyListener[]): readonly TablePlan[] {
  const { config } = own.node
  if (!config.installIptablesRules) return []
  const families = ([4, 6] as const).filter((family) => (family === 4 ? config.ipv4 : config.ipv6))
  return families.flatMap((family) => {
    const made = chains.filter(({ v6 }) => family === 4 || v6)
    const rules: readonly Rule[] = [
      ...tunnelRules(config),
      ...(config.l7Proxy ? staticProxyRules(config, family) : []),
      ...encryptionAcceptRules(config, made),
      ...forwardRules(config),
      hostMarkRule(config),
      ...masqueradeRules(own, family),
      ...encryptionNoTrackRules(config),
      ...noConntrackRules(config, family),
      ...(config.bpfTproxy ? [] : listenerRules(listeners, family, config)),
      ...made.map(
        ({ name, table, hook }): Rule => [
          table,
          `-I ${hook} ${comment(`cilium-feeder: ${name}`)} -j ${name}`,
        ],
      ),
    ]
    return (['raw', 'mangle', 'nat', 'filter'] as const).map((table) => ({
      family,
      table,
      chains: made.filter((each) => each.table === table).map(({ name }) => name),
      rules: rules.filter(([own]) => own === table).map(([, text]) => text),
    }))
  })
}
