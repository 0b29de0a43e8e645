// Which drop reasons of Cilium 1.19 are shown where, and why the others are not: makes docs/drop-reasons.md. Run by
// `npm run drop-reasons`; test/drop-reasons.test.ts keeps the page and its places true.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drop } from '../src/cilium/datapath/drop-reason.ts'
import { reasonTexts } from '../src/cilium/decode/drop-text.ts'

/** What is known about one reason. */
export type Shown =
  /** Specs, FILE::SCENARIO, in whose golden a packet is dropped for that reason. */
  | { readonly by: 'spec'; readonly places: readonly string[] }
  /** Tests, FILE::TITLE, that run the programs to that reason; and why no spec shows it. */
  | { readonly by: 'test'; readonly places: readonly string[]; readonly why: string }
  /** A program of the model returns it, and no unicast packet without services comes to it. */
  | { readonly by: 'none'; readonly why: string }
  /** No program of the model returns it. */
  | { readonly by: 'nowhere'; readonly why: string }

function spec(...places: readonly string[]): Shown {
  return {
    by: 'spec',
    places: places.map((place) => `specs/cilium/${place.includes('/') ? '' : 'drops/'}${place}`),
  }
}

function unit(why: string, ...places: readonly string[]): Shown {
  return { by: 'test', places: places.map((place) => `src/cilium/${place}`), why }
}

const none = (why: string): Shown => ({ by: 'none', why })
const nowhere = (why: string): Shown => ({ by: 'nowhere', why })

const metric = nowhere('a reason of the metrics map that is not a drop')
const socketLb = nowhere('services: a metric of the programs at sockets')
const unused = nowhere('unused in 1.19’s programs')
const multicast = nowhere('multicast')
const nat46 = nowhere('NAT46x64 translates between families; it is not modelled')
const clusterAware = nowhere('cluster-aware addressing of ClusterMesh is not modelled')
const srv6 = nowhere('SRv6 is not modelled')
const tproxy = none('only while no proxy listens (`bpf.tproxy`): those of a node listen as long as it runs')
const loaded = none('only while an agent starts: topologies begin when all programs are loaded')

/** By number: the reasons of the monitor's table, and 159, which has no text. */
export const shown: Readonly<Record<number, Shown>> = {
  0: metric,
  2: nowhere(
    'a number of the monitor’s own table; programs return 134, and only an empty bucket of the bandwidth manager CTX_ACT_DROP, which is 2: specs/cilium/bandwidth/ingress-bandwidth-drops-what-the-bucket-does-not-hold.scn',
  ),
  3: metric,
  4: metric,
  5: socketLb,
  6: socketLb,
  7: socketLb,
  8: socketLb,
  9: metric,
  10: metric,
  11: unused,
  12: metric,
  13: metric,
  14: socketLb,
  15: metric,
  130: unused,
  131: unused,
  132: spec('what-a-pod-may-not-send.scn::source'),
  133: spec('what-policy-denies.scn::ingress'),
  134: spec('what-a-pod-may-not-send.scn::headers'),
  135: spec('what-a-pod-may-not-send.scn::headers'),
  136: none('services: DSR, for packets that grow larger than the MTU'),
  137: spec('what-a-pod-may-not-send.scn::protocol'),
  138: unused,
  139: spec('what-a-pod-may-not-send.scn::headers', 'what-the-host-firewall-refuses.scn::frames'),
  140: none('no slot that is called is empty once the agent has loaded an object'),
  141: none('the helper fails only at an offset behind the packet or without memory'),
  142: spec('what-masquerading-cannot-translate.scn::icmp'),
  143: spec('what-masquerading-cannot-translate.scn::icmp'),
  144: nat46,
  145: spec('what-masquerading-cannot-translate.scn::icmp'),
  146: nat46,
  147: none('a packet that comes out of the tunnel device always has a tunnel key'),
  148: unused,
  149: unused,
  150: spec('what-a-pod-may-not-send.scn::solicitation'),
  151: spec('what-a-node-refuses.scn::unroutable'),
  152: unused,
  153: none('the helper fails only at an offset behind the packet, and the header was read there before'),
  154: spec('sctp-keeps-its-port.scn::ports'),
  155: none(
    'the maps of connections are LRU: a new entry takes the place of an old one; want of memory is not modelled',
  ),
  156: spec('what-a-pod-may-not-send.scn::extensions'),
  157: spec('without-fragment-tracking.scn::fragments'),
  158: none('services'),
  159: none('services, and replaced before a packet is dropped'),
  160: none('services: DSR over Geneve'),
  161: nat46,
  162: unit(
    'without an event: specs/cilium/bandwidth/a-departure-beyond-the-horizon-is-a-silent-drop.scn shows the packet that is gone',
    'datapath/throttle.test.ts::beyond the horizon it is dropped, and the time stays',
  ),
  163: none('lookups of connections answer with the states that are asked for and no others'),
  164: nowhere('only of programs built without a device of the host; the agent builds none'),
  165: unused,
  166: spec('what-a-pod-may-not-send.scn::headers', 'what-the-host-firewall-refuses.scn::frames'),
  167: unit(
    'a spec would have to use up the range of ports, 32768 or more',
    'datapath/nat.test.ts::with one port in the range the 33rd attempt is not made: 167, and the agent is asked to collect',
  ),
  168: spec('what-masquerading-cannot-translate.scn::icmp'),
  169: spec('what-masquerading-cannot-translate.scn::route'),
  170: spec('what-policy-denies.scn::tunnel'),
  171: spec('what-a-node-refuses.scn::identity'),
  172: nowhere('not returned by the programs modelled here'),
  173: none('not a drop: it leaves a packet to the stack'),
  174: none('services'),
  175: spec('what-a-pod-may-not-send.scn::fragments'),
  176: spec('what-the-host-firewall-refuses.scn::icmp6'),
  177: none('services'),
  178: tproxy,
  179: tproxy,
  180: spec('what-no-proxy-takes.scn::sctp'),
  181: spec('what-policy-denies.scn::ingress'),
  182: spec('what-a-node-refuses.scn::vlan'),
  183: none('VTEP integration: its endpoints in a cluster are to come'),
  184: none('an array with one entry for each CPU, which is always there'),
  185: srv6,
  186: srv6,
  187: nat46,
  188: nat46,
  189: spec('what-policy-denies.scn::ingress'),
  190: clusterAware,
  191: clusterAware,
  192: clusterAware,
  193: nowhere('services: DSR'),
  194: spec('what-an-egress-gateway-lacks.scn::lacking'),
  195: spec(
    'encryption/strict-mode-lets-nothing-plain-through.scn::egress',
    'encryption/strict-mode-lets-nothing-plain-through.scn::ingress',
  ),
  196: spec('what-a-pod-may-not-send.scn::ttl', 'what-a-node-refuses.scn::ttl'),
  197: spec('encryption/ipsec-drops-what-it-cannot-open.scn::unknown'),
  198: nowhere('services: answers to packets for a service without backends, too many of them'),
  199: multicast,
  200: multicast,
  201: multicast,
  202: loaded,
  203: loaded,
  204: spec('what-an-egress-gateway-lacks.scn::lacking'),
  205: nowhere('services: not a drop, it leaves a packet to a proxy'),
}

/** The name in lib/drop_reasons.h that the model uses for a reason. */
export function nameOf(reason: number): string | undefined {
  return Object.entries(drop).find(([, code]) => code === -reason)?.[0]
}

function cellOf(it: Shown): string {
  const places = 'places' in it ? it.places.map((place) => `\`${place}\``) : []
  if (it.by === 'spec') return places.join('<br>')
  if (it.by === 'test') return [...places, `no spec: ${it.why}`].join('<br>')
  return `${it.by === 'none' ? 'not reached' : 'never returned'}: ${it.why}`
}

/** docs/drop-reasons.md */
export function dropReasonsPage(): string {
  const rows = Object.entries(shown).map(([reason, it]) => {
    const text = reasonTexts[Number(reason)] ?? '(none)'
    return `| ${reason} | ${text} | ${cellOf(it)} |`
  })
  return `# Drop reasons

Cilium 1.19's drop reasons and the other reasons of its metrics, by number, with the words of \`cilium monitor\`; and where unicast traffic of IPv4 or IPv6
without services is dropped for them. A place is \`FILE::SCENARIO\`, whose golden shows the drop, or \`FILE::TEST\`. *Not reached*: the simulated programs
return it, and such traffic does not come there; *never returned*: no simulated program does. This page is generated: \`npm run drop-reasons\`, from
\`scripts/drop-reasons.ts\`; \`test/drop-reasons.test.ts\` keeps it true.

| number | text | shown by |
| --- | --- | --- |
${rows.join('\n')}
`
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(import.meta.dirname, '..', 'docs', 'drop-reasons.md'), dropReasonsPage())
}
