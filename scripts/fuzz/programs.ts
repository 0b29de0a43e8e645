// Small programs with random tests, actions and codes, at random hooks.
import type { Dice } from './dice.ts'
import type { Draft, DraftHost } from './host.ts'

const tests = [
  'udp.dport == 7000',
  'udp',
  'tcp',
  'icmp',
  'arp',
  'ip',
  'ip.ttl <= 2',
  'ip.frag',
  'packet.len > 100',
  'tcp.flags == syn',
  'ip.src in 10.1.0.0/24',
  'ip.dst == 10.2.0.2',
  'not udp',
  'ip.proto == 17',
  'ip.tos == 16',
  'udp.len > 30',
  'ip.df',
  'icmp.type == 8',
  'eth.type == 0x0806',
  'ip.ihl > 5',
  'udp and ip.ttl > 3',
  'tcp or icmp',
  'ip6',
  'eth.dst == ff:ff:ff:ff:ff:ff',
]

const xdpActions = [
  'set ip.ttl = 9',
  'set ip.dst = 10.2.0.2',
  'set udp.dport = 7001',
  'swap eth',
  'swap eth ip',
  'swap eth ip udp',
  'count hits[0]',
  'adjust-tail 4',
  'set ip.tos = 16',
  'set eth.dst = 02:00:00:00:00:77',
  'adjust-meta 4',
]

const tcActions = [
  'set ip.ttl = 9',
  'set ip.dst = 10.2.0.2',
  'set udp.dport = 7001',
  'set mark = 1',
  'set mark = 2',
  'count hits[0]',
  'swap eth',
  'set ip.tos = 16',
  'push-vlan 5',
  'set eth.dst = 02:00:00:00:00:77',
  'set priority = 6',
  'swap eth ip udp',
  'set cb0 = 3',
  'set packet.type = 0',
  'set packet.type = 3',
  'set ip.src = 10.9.9.9',
  'pop-vlan',
]

function body(dice: Dice, type: 'xdp' | 'tc', each: DraftHost): string[] {
  const codes =
    type === 'xdp'
      ? ['XDP_PASS', 'XDP_PASS', 'XDP_DROP', 'XDP_TX', 'XDP_ABORTED']
      : [
          'TC_ACT_OK',
          'TC_ACT_OK',
          'TC_ACT_UNSPEC',
          'TC_ACT_SHOT',
          'TC_ACT_PIPE',
          'TC_ACT_STOLEN',
          'TC_ACT_QUEUED',
          'TC_ACT_RECLASSIFY',
          'TC_ACT_TRAP',
          'continue',
        ]
  const lines: string[] = []
  const { name } = dice.pick(each.devices)
  for (let left = dice.number(1, 3); left > 0; left -= 1) {
    const actions = dice.some(type === 'xdp' ? xdpActions : tcActions, 2)
    let code = dice.pick(codes)
    if (dice.once(5)) {
      code = type === 'xdp' ? 'XDP_REDIRECT' : 'TC_ACT_REDIRECT'
      actions.push(
        type === 'xdp'
          ? `redirect ${name}`
          : dice.pick([
              `redirect ${name}`,
              `redirect ${name} ingress`,
              `redirect-neigh ${name}`,
              `redirect-neigh ${name} via 10.2.0.2`,
              `redirect-peer ${name}`,
            ]),
      )
    } else if (type === 'tc' && dice.once(8))
      actions.push(`clone-redirect ${name}${dice.pick(['', ' ingress'])}`)
    lines.push(`  ${dice.pick(tests)} => ${code}${actions.length === 0 ? '' : ` { ${actions.join('; ')} }`}`)
  }
  const end =
    type === 'xdp'
      ? dice.pick(['XDP_PASS', 'XDP_PASS', 'XDP_PASS', 'XDP_TX'])
      : dice.pick(['TC_ACT_OK', 'TC_ACT_UNSPEC'])
  lines.push(`  otherwise => ${end}`)
  if (lines.some((line) => line.includes('hits[')))
    lines.unshift('  map hits array key u32 value u64 max-entries 2')
  return lines
}

/** Attaches one to three programs. */
export function programs(dice: Dice, draft: Draft, only: ReadonlySet<string>): void {
  const types = (['xdp', 'tc'] as const).filter((type) => only.size === 0 || only.has(type))
  const taken = new Set<string>()
  for (let number = dice.number(1, 3); number > 0; number -= 1) {
    const each = dice.once(3) ? dice.pick(draft.hosts) : (draft.hosts[1] as DraftHost)
    const type = dice.pick(types.length === 0 ? (['tc'] as const) : types)
    const device = dice.pick(each.devices)
    const hook =
      type === 'xdp'
        ? dice.pick(['xdp native', 'xdp generic'])
        : dice.pick(['tc-in', 'tc-out', 'tc-in', 'tc-out', 'tcx-in', 'tcx-out'])
    const place = `${each.name}/${device.name}/${type === 'xdp' ? 'xdp' : `${hook}${number}`}`
    if (taken.has(place) || (type === 'xdp' && device.kind.startsWith('bridge'))) continue
    taken.add(place)
    device.inner.push(`${hook} p${number}`)
    draft.programs.push(`prog p${number} ${type} {`, ...body(dice, type, each), '}', '')
  }
}
