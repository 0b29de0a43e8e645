// The first packet of a flow to one of many services: kube-proxy's rules in iptables (KUBE-SERVICES is a list, gone through
// rule by rule) against IPVS (a hash). Rules are counted as the kernel evaluates them; times are the simulator's own.
import type { Booted } from '../src/boot/boot.ts'
import { addAddress } from '../src/kernel/ip/admin-address.ts'
import { attachServices } from '../src/kernel/ipvs/hooks.ts'
import { parseIpvs } from '../src/kernel/ipvs/parse.ts'
import type { Namespace } from '../src/kernel/namespace.ts'
import { attachIptables } from '../src/kernel/netfilter/iptables.ts'
import { parseRuleset } from '../src/kernel/netfilter/parse.ts'
import { parseSets } from '../src/kernel/netfilter/set/parse-set.ts'
import type { SetTable } from '../src/kernel/netfilter/set/set-table.ts'
import { failed } from '../src/kernel/socket/errno.ts'
import { udpOpen, udpSend } from '../src/kernel/socket/udp.ts'
import { udpReceive } from '../src/kernel/socket/udp-read.ts'
import { ipv4From } from '../src/net/address.ts'
import { prefixOf } from '../src/net/prefix.ts'
import { measureWork } from './interleave.ts'
import { bootWorld, checkedWorld } from './scene.ts'
import { estimate, ratio } from './statistics.ts'
import { type Row, whole } from './table.ts'

const spec = `scn 1
topology {
  net lan 192.168.0.0/24
  net pods 10.244.1.0/24
  netns client { dev eth0 on lan 192.168.0.9; route 10.96.0.0/16 via 192.168.0.1 }
  node n1 {
    dev eth0 on lan 192.168.0.1
    dev eth1 on pods 10.244.1.1
    dev kube-ipvs0 dummy
    route 10.245.0.0/16 via 10.244.1.11
    sysctl net.ipv4.ip_forward = 1
    sysctl net.ipv4.vs.conntrack = 1
  }
  netns web { dev eth0 on pods 10.244.1.11; route default via 10.244.1.1; route local 10.245.0.0/16 dev lo; listen udp 5353 }
}
scenario flow {
  f1: udp client:4000 > web:5353 { send 20 }
}
`

/** 10.96.0.0. */
const firstAddress = 0x0a60_0000

function serverText(service: number): string {
  return `10.245.${(service + 1) >>> 8}.${(service + 1) & 0xff}`
}

function addressText(service: number): string {
  return `10.96.${(service + 1) >>> 8}.${(service + 1) & 0xff}`
}

const common = `:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE`

/** One service: its chain, its endpoint's chain, its rule in KUBE-SERVICES. */
function serviceRules(service: number): string {
  const to = `-d ${addressText(service)}/32 -p udp -m comment --comment "ns/svc-${service}:dns cluster IP" -m udp --dport 53`
  return `:KUBE-SVC-${service} - [0:0]
:KUBE-SEP-${service} - [0:0]
-A KUBE-SERVICES ${to} -j KUBE-SVC-${service}
-A KUBE-SVC-${service} ! -s 10.244.0.0/16 ${to} -j KUBE-MARK-MASQ
-A KUBE-SVC-${service} -m comment --comment "ns/svc-${service}:dns -> ${serverText(service)}:5353" -j KUBE-SEP-${service}
-A KUBE-SEP-${service} -s ${serverText(service)}/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-${service} -p udp -m udp -j DNAT --to-destination ${serverText(service)}:5353`
}

function attachRules(ns: Namespace, text: string, sets: SetTable): void {
  const parsed = parseRuleset(`*nat\n${text}\nCOMMIT\n`, 4, { sets })
  if (!parsed.ok) throw new Error(parsed.problems[0]?.message)
  attachIptables(ns, 4, parsed.ruleset)
}

function byIptables(ns: Namespace, services: number): void {
  const rules = Array.from({ length: services }, (_, service) => serviceRules(service))
  attachRules(ns, [common, ...rules].join('\n'), new Map())
}

function byIpvs(ns: Namespace, services: number): void {
  const all = Array.from({ length: services }, (_, service) => addressText(service))
  const members = all.map((address) => `add KUBE-CLUSTER-IP ${address},udp:53`)
  const sets = parseSets(
    `create KUBE-CLUSTER-IP hash:ip,port maxelem 65536\n${members.join('\n')}\n`,
    new Map(),
  )
  const lines = all.map(
    (address, service) =>
      `-A -u ${address}:53 -s rr\n-a -u ${address}:53 -r ${serverText(service)}:5353 -m -w 1\n`,
  )
  const parsed = parseIpvs(lines.join(''))
  if (!sets.ok || !parsed.ok) throw new Error('the sets and the services are right')
  ns.netfilter.sets = sets.sets
  const dummy = ns.devicesByName.get('kube-ipvs0')!
  for (let service = 0; service < services; service += 1) {
    addAddress(dummy, prefixOf(ipv4From(firstAddress + service + 1), 32))
  }
  const rules = [
    '-A KUBE-SERVICES ! -s 10.244.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ',
    '-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT',
  ]
  attachRules(ns, [common, ...rules].join('\n'), sets.sets)
  attachServices(ns, parsed.services)
}

const flows = 100

/** A world with so many services; each call of `send` opens `flows` flows to services in turn. */
function sceneOf(
  services: number,
  attach: (ns: Namespace, services: number) => void,
): { readonly send: () => void; readonly evaluated: () => number } {
  const booted: Booted = bootWorld(checkedWorld(spec))
  const { machine, listeners } = booted
  const ns = machine.namespaces.get('n1')!
  attach(ns, services)
  const server = listeners.find(({ kind }) => kind === 'udp')
  if (server?.kind !== 'udp') throw new Error('the server listens')
  const data = new Uint8Array(20)
  let next = 0
  const send = (): void => {
    const client = udpOpen({ ns: machine.namespaces.get('client')!, family: 4, label: 'f1' })
    if (failed(client)) throw new Error(client.errno)
    for (let sent = 0; sent < flows; sent += 1) {
      // in steps through the list, so that the mean position is its middle
      next = (next + 7919) % services
      const to = { address: ipv4From(firstAddress + next + 1), port: 53 }
      const answer = udpSend(client.ok, data, { to })
      machine.clock.drain()
      if (failed(answer) || failed(udpReceive(server.socket))) throw new Error('a datagram was lost')
    }
  }
  const evaluated = (): number => ns.netfilter.rulesEvaluated + (ns.netfilter.ipvs?.lookups ?? 0)
  return { send, evaluated }
}

const kinds = [
  { name: 'iptables', attach: byIptables },
  { name: 'IPVS', attach: byIpvs },
] as const

/** Rules and time of a first packet at 100 and 10,000 services. */
export function serviceRows(): Row[] {
  const scenes = kinds.flatMap(({ name, attach }) =>
    [100, 10_000].map((size) => ({ name: `${name}, ${whole(size)} services`, scene: sceneOf(size, attach) })),
  )
  const rows: Row[] = scenes.map(({ name, scene }) => {
    const counts = Array.from({ length: 10 }, () => {
      const before = scene.evaluated()
      scene.send()
      return (scene.evaluated() - before) / flows
    })
    return { measure: `first packet: ${name}`, estimate: estimate(counts), unit: 'rules and look-ups' }
  })
  const work = scenes.map(({ name, scene }) => ({ name, run: scene.send }))
  const times = measureWork(work, { rounds: 30, warm: 5 })
  for (const { name } of scenes) {
    const each = times.get(name)!.map((time) => time / flows)
    rows.push({ measure: `first packet: ${name}`, estimate: estimate(each), unit: 'us' })
  }
  const many = times.get('IPVS, 10,000 services')!
  rows.push(
    {
      measure: 'first packet: IPVS, 10,000 against 100',
      estimate: ratio(many, times.get('IPVS, 100 services')!),
      unit: 'x',
      target: 1.5,
    },
    {
      measure: 'first packet: iptables against IPVS, 10,000',
      estimate: ratio(times.get('iptables, 10,000 services')!, many),
      unit: 'x',
    },
  )
  return rows
}
