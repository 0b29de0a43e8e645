// Programs of cgroups: what sockets of a host may send and get.
import type { Dice } from './dice.ts'
import type { Draft } from './host.ts'

const tests = [
  'udp',
  'tcp',
  'icmp',
  'ip',
  'udp.dport == 7000',
  'tcp.dport == 80',
  'tcp.flags == syn',
  'packet.len > 100',
  'ip.ttl <= 2',
  'ip.dst == 10.2.0.2',
  'ip.frag',
  'mark == 1',
  'not tcp',
  'hits[0] > 1',
  'packet.type == 4',
  'protocol == 0x0800',
]
const actions = ['set mark = 1', 'set mark = 2', 'count hits[0]', 'set priority = 6', 'set cb0 = 3']
const codes = {
  egress: ['ALLOW', 'ALLOW', 'DENY', 'DENY_CN', 'ALLOW_CN', 'continue'],
  ingress: ['ALLOW', 'ALLOW', 'DENY', 'continue'],
} as const

/** Attaches one to four programs. Over IPv6 nothing counts what only the kernel sends. */
export function cgroups(dice: Dice, draft: Draft): void {
  for (let number = dice.number(1, 4); number > 0; number -= 1) {
    const way = dice.pick(['egress', 'ingress'] as const)
    const lines: string[] = []
    for (let left = dice.number(1, 3); left > 0; left -= 1) {
      const chosen = dice.some(actions, 2).filter((action) => !draft.ipv6 || !action.startsWith('count'))
      lines.push(
        `  ${dice.pick(tests)} => ${dice.pick(codes[way])}${chosen.length === 0 ? '' : ` { ${chosen.join('; ')} }`}`,
      )
    }
    lines.push(`  otherwise => ${dice.pick(['ALLOW', 'ALLOW', 'ALLOW', 'DENY'])}`)
    const map = lines.some((line) => line.includes('hits['))
      ? ['  map hits array key u32 value u64 max-entries 2']
      : []
    dice.pick(draft.hosts).lines.push(`cgroup/${way} g${number}`)
    draft.programs.push(`prog g${number} cgroup/${way} {`, ...map, ...lines, '}', '')
  }
}
