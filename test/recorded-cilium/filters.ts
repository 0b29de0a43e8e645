// The agent's iptables rules, as far as the recorded runs can see them: the mark of the host's own packets, the way to the
// proxy, and masquerading where BPF does not do it.
import type { Namespace } from '../../src/kernel/namespace.ts'
import { attachIptables } from '../../src/kernel/netfilter/iptables.ts'
import { parseRuleset } from '../../src/kernel/netfilter/parse.ts'
import type { RecordedConfig } from './case.ts'

/** One table as `iptables-save` prints it, with the agent's own chains. */
function tableText(name: string, builtIn: readonly string[], own: string, rules: readonly string[]): string {
  const chains = [...builtIn.map((chain) => `:${chain} ACCEPT [0:0]`), `:${own} - [0:0]`]
  return [`*${name}`, ...chains, ...rules, 'COMMIT', ''].join('\n')
}

function hostMark(exceptOverlay: boolean): string {
  const overlay = exceptOverlay ? ' -m mark ! --mark 0x400/0xf00' : ''
  const others = exceptOverlay ? ' -m mark ! --mark 0x800/0xf00 -m mark ! --mark 0xf00/0xf00' : ''
  return tableText('filter', ['INPUT', 'FORWARD', 'OUTPUT'], 'CILIUM_OUTPUT', [
    '-A OUTPUT -j CILIUM_OUTPUT',
    `-A CILIUM_OUTPUT -m mark ! --mark 0xe00/0xf00 -m mark ! --mark 0xd00/0xf00${overlay} -m mark ! --mark 0xa00/0xe00${others} -j MARK --set-xmark 0xc00/0xf00`,
  ])
}

function proxyRules(ports: readonly number[]): string {
  const rules = ports.map((port) => {
    const swapped = ((port & 0xff) << 8) | (port >>> 8)
    const mark = ((swapped << 16) | 0x200) >>> 0
    return `-A CILIUM_PRE_mangle -p tcp -m mark --mark 0x${mark.toString(16)} -j TPROXY --on-port ${port} --on-ip 127.0.0.1 --tproxy-mark 0x200/0xffffffff`
  })
  const builtIn = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']
  return tableText('mangle', builtIn, 'CILIUM_PRE_mangle', ['-A PREROUTING -j CILIUM_PRE_mangle', ...rules])
}

/** installMasqueradeRules() of 1.10: everything else that leaves a pod keeps the address of the node. */
function masqueradeRules(number: 1 | 2, tunnel: boolean): string {
  const pods = `10.0.${number}.0/24`
  const router = `10.0.${number}.1`
  return tableText('nat', ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'], 'CILIUM_POST_nat', [
    '-A POSTROUTING -j CILIUM_POST_nat',
    `-A CILIUM_POST_nat ! -d ${pods} -s ${pods} ! -o cilium_+ -j MASQUERADE`,
    '-A CILIUM_POST_nat -m mark --mark 0xa00/0xe00 -j ACCEPT',
    ...(tunnel
      ? [`-A CILIUM_POST_nat ! -s ${pods} ! -d ${pods} -o cilium_host -j SNAT --to-source ${router}`]
      : []),
    `-A CILIUM_POST_nat -s 127.0.0.1 -o cilium_host -j SNAT --to-source ${router}`,
    `-A CILIUM_POST_nat -m mark --mark 0xf00/0xf00 -o cilium_host -m conntrack --ctstate DNAT -j SNAT --to-source ${router}`,
  ])
}

/** The rules of a node. */
export function addFilters(
  ns: Namespace,
  number: 1 | 2,
  config: RecordedConfig,
  version: 'v1.10' | 'v1.19',
): void {
  const text = [
    hostMark(version === 'v1.19'),
    config.tproxy === undefined ? '' : proxyRules(config.tproxy),
    config.iptables_masquerade === true ? masqueradeRules(number, config.tunnel === true) : '',
  ]
  const parsed = parseRuleset(text.join(''), 4)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(ns, 4, parsed.ruleset)
}
