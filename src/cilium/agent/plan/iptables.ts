// The rules that the agent writes with iptables, word by word: chains CILIUM_* and the feeders into them (cilium
// pkg/datapath/iptables/iptables.go).
import type { AgentConfig } from '../config.ts'
import type { NodeAddresses } from '../node-addresses.ts'
import { masqueradeRules } from './iptables-masquerade.ts'
import { listenerRules, type ProxyListener, staticProxyRules } from './iptables-proxy.ts'
import { comment, deliveryDevice, mark, marked, notrack, proxyMask, type Rule } from './iptables-rule.ts'
import type { TablePlan } from './plan.ts'
import { hostDevice, netDevice } from './routes.ts'

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

function tunnelRules({ routing, tunnelPort, version }: AgentConfig): readonly Rule[] {
  if (routing !== 'tunnel' || version === '1.10') return []
  const port = `-p udp --dport ${tunnelPort}`
  return [
    ['filter', `-A CILIUM_OUTPUT ${port} ${comment('cilium: ACCEPT for tunnel traffic')} -j ACCEPT`],
    ['raw', `-A CILIUM_PRE_raw ${port} ${comment('cilium: NOTRACK for tunnel traffic')} ${notrack}`],
    ['raw', `-A CILIUM_OUTPUT_raw ${port} ${comment('cilium: NOTRACK for tunnel traffic')} ${notrack}`],
  ]
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

/** Whether marks of encryption have rules: in 1.10 those of IPsec alone, in IPv4. */
function hasEncryptionRules({ encryption, version }: AgentConfig, family: 4 | 6): boolean {
  return version === '1.10' ? encryption === 'ipsec' && family === 4 : encryption !== 'off'
}

/**
 * What is encrypted or was just decrypted is neither tracked nor filtered (addCiliumNoTrackEncryptionRules(), in 1.10
 * addCiliumNoTrackXfrmRules()).
 */
function encryptionNoTrackRules(config: AgentConfig, family: 4 | 6): readonly Rule[] {
  if (!hasEncryptionRules(config, family)) return []
  const isOld = config.version === '1.10'
  const marks = isOld ? [mark.encrypt, mark.decrypt] : [mark.decrypt, mark.encrypt]
  const why = comment(isOld ? 'cilium-xfrm-notrack:' : 'cilium-encryption-notrack:')
  return (isOld ? ['CILIUM_PRE_raw'] : ['CILIUM_PRE_raw', 'CILIUM_OUTPUT_raw']).flatMap((chain) =>
    marks.map((own): Rule => ['raw', `-I ${chain} -m mark --mark ${marked(own)} ${why} ${notrack}`]),
  )
}

/** addCiliumAcceptEncryptionRules(), in 1.10 addCiliumAcceptXfrmRules(): in every chain of filter and nat, before what masquerades. */
function encryptionAcceptRules(
  config: AgentConfig,
  family: 4 | 6,
  made: readonly (typeof chains)[number][],
): readonly Rule[] {
  if (!hasEncryptionRules(config, family)) return []
  const isOld = config.version === '1.10'
  const marks = isOld ? [mark.decrypt, mark.encrypt] : [mark.encrypt, mark.decrypt]
  const what = isOld ? 'xfrm' : 'encrypt/decrypt'
  return made.flatMap(({ name, table }) =>
    table !== 'filter' && table !== 'nat'
      ? []
      : marks.map(
          (own): Rule => [
            table,
            `-A ${name} -m mark --mark ${marked(own)} ${comment(`exclude ${what} marks from ${table} ${name} chain`)} -j ACCEPT`,
          ],
        ),
  )
}

/** install-no-conntrack-iptables-rules: pods' traffic is not tracked at all. */
function noConntrackRules(config: AgentConfig, family: 4 | 6): readonly Rule[] {
  const range = config.nativeRoutingCidr4
  if (!config.installNoConntrackRules || range === undefined || family === 6) return []
  return ['CILIUM_PRE_raw', 'CILIUM_OUTPUT_raw'].flatMap((chain) =>
    ['-s', '-d'].map(
      (side): Rule => [
        'raw',
        `-I ${chain} ${side} ${range} ${comment('cilium: NOTRACK for pod traffic')} ${notrack}`,
      ],
    ),
  )
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
      ...encryptionAcceptRules(config, family, made),
      ...forwardRules(config),
      hostMarkRule(config),
      ...masqueradeRules(own, family),
      ...encryptionNoTrackRules(config, family),
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
