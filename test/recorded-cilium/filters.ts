// The agent's iptables rules, as far as the recorded runs can see them: the mark of the host's own packets, the way to the
// proxy, and masquerading where BPF does not do it.
import type { Namespace } from '../../src/kernel/namespace.ts'
import { attachIptables } from '../../src/kernel/netfilter/iptables.ts'
import { parseRuleset } from '../../src/kernel/netfilter/parse.ts'
import type { RecordedConfig } from './case.ts'

const hostMark = (exceptOverlay: boolean): string => `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:CILIUM_OUTPUT - [0:0]
-A OUTPUT -j CILIUM_OUTPUT
-A CILIUM_OUTPUT -m mark ! --mark 0xe00/0xf00 -m mark ! --mark 0xd00/0xf00${exceptOverlay ? ' -m mark ! --mark 0x400/0xf00' : ''} -m mark ! --mark 0xa00/0xe00${exceptOverlay ? ' -m mark ! --mark 0x800/0xf00 -m mark ! --mark 0xf00/0xf00' : ''} -j MARK --set-xmark 0xc00/0xf00
COMMIT
`

function proxyRules(ports: readonly number[]): string {
  const rules = ports.map((port) => {
    const swapped = ((port & 0xff) << 8) | (port >>> 8)
    const mark = ((swapped << 16) | 0x200) >>> 0
    return `-A CILIUM_PRE_mangle -p tcp -m mark --mark 0x${mark.toString(16)} -j TPROXY --on-port ${port} --on-ip 127.0.0.1 --tproxy-mark 0x200/0xffffffff`
  })
  return `*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:CILIUM_PRE_mangle - [0:0]
-A PREROUTING -j CILIUM_PRE_mangle
${rules.join('\n')}
COMMIT
`
}

/** installMasqueradeRules() of 1.10: everything else that leaves a pod keeps the address of the node. */
function masqueradeRules(number: 1 | 2, tunnel: boolean): string {
  const pods = `10.0.${number}.0/24`
  const router = `10.0.${number}.1`
  const toPods = `-A CILIUM_POST_nat ! -s ${pods} ! -d ${pods} -o cilium_host -j SNAT --to-source ${router}\n`
  return `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:CILIUM_POST_nat - [0:0]
-A POSTROUTING -j CILIUM_POST_nat
-A CILIUM_POST_nat ! -d ${pods} -s ${pods} ! -o cilium_+ -j MASQUERADE
-A CILIUM_POST_nat -m mark --mark 0xa00/0xe00 -j ACCEPT
${tunnel ? toPods : ''}-A CILIUM_POST_nat -s 127.0.0.1 -o cilium_host -j SNAT --to-source ${router}
-A CILIUM_POST_nat -m mark --mark 0xf00/0xf00 -o cilium_host -m conntrack --ctstate DNAT -j SNAT --to-source ${router}
COMMIT
`
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
