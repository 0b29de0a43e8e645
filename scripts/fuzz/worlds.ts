// Worlds: two to five hosts on wires, behind routers and bridges, with what may be set in each of them.
import type { Dice } from './dice.ts'
import { type Draft, type DraftDevice, type DraftHost, device, host } from './host.ts'

function empty(ipv6: boolean): Draft {
  return { nets: [], hosts: [], programs: [], steps: [], claims: [], ipv6 }
}

function both(ipv6: boolean, link: number, end: number, lengths = true): string[] {
  const four = `10.${link}.0.${end}${lengths ? '/24' : ''}`
  return ipv6 ? [four, `fd00:${link}::${end}${lengths ? '/64' : ''}`] : [four]
}

function gateway(ipv6: boolean, link: number, end: number): string[] {
  return [
    `route default via 10.${link}.0.${end}`,
    ...(ipv6 ? [`route default via fd00:${link}::${end}`] : []),
  ]
}

/** A - R - B, or A - R - S - B, by veth pairs. */
function chain(dice: Dice, ipv6: boolean): Draft {
  const draft = empty(ipv6)
  const long = dice.once(3)
  const a = host('A', [device('a0', 'peer R/r0', ...both(ipv6, 1, 2))], ...gateway(ipv6, 1, 1))
  const r = host('R', [device('r0', 'peer A/a0', ...both(ipv6, 1, 1))])
  draft.hosts.push(a, r)
  if (!long) {
    r.devices.push(device('r1', 'peer B/b0', ...both(ipv6, 2, 1)))
    draft.hosts.push(host('B', [device('b0', 'peer R/r1', ...both(ipv6, 2, 2))], ...gateway(ipv6, 2, 1)))
    return draft
  }
  r.devices.push(device('r1', 'peer S/s0', ...both(ipv6, 2, 1)))
  const s = host('S', [
    device('s0', 'peer R/r1', ...both(ipv6, 2, 2)),
    device('s1', 'peer B/b0', ...both(ipv6, 3, 1)),
  ])
  r.lines.push('route 10.3.0.0/24 via 10.2.0.2', ...(ipv6 ? ['route fd00:3::/64 via fd00:2::2'] : []))
  s.lines.push('route 10.1.0.0/24 via 10.2.0.1', ...(ipv6 ? ['route fd00:1::/64 via fd00:2::1'] : []))
  draft.hosts.push(s, host('B', [device('b0', 'peer S/s1', ...both(ipv6, 3, 2))], ...gateway(ipv6, 3, 1)))
  return draft
}

/** A, R and C on one wire; B behind R. */
function wire(_dice: Dice, ipv6: boolean): Draft {
  const draft = empty(ipv6)
  draft.nets.push(`net lan 10.1.0.0/24${ipv6 ? ' fd00:1::/64' : ''}`)
  const on = (end: number): string[] => both(ipv6, 1, end, false)
  draft.hosts.push(
    host('A', [device('a0', 'on lan', ...on(2))], ...gateway(ipv6, 1, 1)),
    host('R', [device('r0', 'on lan', ...on(1)), device('r1', 'peer B/b0', ...both(ipv6, 2, 1))]),
    host('C', [device('c0', 'on lan', ...on(3))], ...gateway(ipv6, 1, 1)),
    host('B', [device('b0', 'peer R/r1', ...both(ipv6, 2, 2))], ...gateway(ipv6, 2, 1)),
  )
  return draft
}

/** A and C on a bridge of R; B behind R. */
function bridged(dice: Dice, ipv6: boolean): Draft {
  const draft = empty(ipv6)
  const r = host('R', [
    device('br0', 'bridge', ...both(ipv6, 1, 1)),
    device('r0', 'peer A/a0 master br0'),
    device('r2', 'peer C/c0 master br0'),
    device('r1', 'peer B/b0', ...both(ipv6, 2, 1)),
  ])
  for (const port of r.devices.slice(1, 3)) {
    if (dice.once(4)) port.options.push('hairpin on')
    if (dice.once(6)) port.options.push('isolated on')
    if (dice.once(8)) port.options.push('nolearning')
    if (dice.once(8)) port.options.push('flood off')
  }
  // Reports of multicast groups, which only the kernel sends, would teach the bridge where A and C are.
  if (ipv6)
    for (const [end, port] of [
      [2, 'r0'],
      [3, 'r2'],
    ] as const)
      r.lines.push(`fdb 02:00:00:00:01:0${end} dev ${port} master static`)
  if (dice.once(2)) r.lines.push(`sysctl net.bridge.bridge-nf-call-iptables = ${dice.number(0, 1)}`)
  if (ipv6 && dice.once(2)) r.lines.push(`sysctl net.bridge.bridge-nf-call-ip6tables = ${dice.number(0, 1)}`)
  const a = device('a0', 'peer R/r0', ...both(ipv6, 1, 2))
  const c = device('c0', 'peer R/r2', ...both(ipv6, 1, 3))
  a.options.push('mac 02:00:00:00:01:02')
  c.options.push('mac 02:00:00:00:01:03')
  draft.hosts.push(
    host('A', [a], ...gateway(ipv6, 1, 1)),
    r,
    host('C', [c], ...gateway(ipv6, 1, 1)),
    host('B', [device('b0', 'peer R/r1', ...both(ipv6, 2, 2))], ...gateway(ipv6, 2, 1)),
  )
  return draft
}

/** `vx0` over a device of the underlay. */
function vxlan(dice: Dice, own: string, remote: string, addresses: readonly string[]): DraftDevice {
  const made = device('vx0', 'vxlan', ...addresses)
  made.options.push(`id ${dice.once(16) ? 43 : 42} remote ${remote}`)
  if (dice.once(2)) made.options.push(`dev ${own}`)
  const rest = [
    'ttl 1',
    'ttl 9',
    'tos inherit',
    'tos 16',
    'df set',
    'nolearning',
    'noudpcsum',
    'dstport 4789',
  ]
  made.options.push(...dice.some(rest, 1))
  return made
}

/**
 * A vxlan device between A and B, whose outer packets R forwards; on the side of B it may be a port of a bridge with C. No
 * IPv6: reports of multicast groups, which only the kernel sends, would travel through the tunnel and be counted.
 */
function tunnelled(dice: Dice): Draft {
  const draft = empty(false)
  const inner = (end: number): string[] => both(false, 7, end)
  const a = host(
    'A',
    [device('a0', 'peer R/r0', ...both(false, 1, 2)), vxlan(dice, 'a0', '10.2.0.2', inner(2))],
    ...gateway(false, 1, 1),
  )
  const r = host('R', [
    device('r0', 'peer A/a0', ...both(false, 1, 1)),
    device('r1', 'peer B/b0', ...both(false, 2, 1)),
  ])
  const b = host('B', [device('b0', 'peer R/r1', ...both(false, 2, 2))], ...gateway(false, 2, 1))
  draft.hosts.push(a, r, b)
  if (dice.once(2)) {
    b.devices.push(vxlan(dice, 'b0', '10.1.0.2', inner(3)))
    return draft
  }
  const port = vxlan(dice, 'b0', '10.1.0.2', [])
  port.options.push('master br0')
  b.devices.push(device('br0', 'bridge', ...inner(3)), port, device('b1', 'peer C/c0 master br0'))
  const c = device('c0', 'peer B/b1', ...inner(4))
  c.options.push('mtu 1450')
  draft.hosts.push(host('C', [c], ...gateway(false, 7, 3)))
  return draft
}

/** A world without anything odd: routers forward, somebody listens everywhere. */
export function plainWorld(dice: Dice, only: ReadonlySet<string>): Draft {
  const ipv6 = only.has('ip6') || (only.size === 0 && dice.once(3))
  const shapes = only.has('tunnel')
    ? [tunnelled]
    : only.has('bridge')
      ? [bridged]
      : only.has('chain')
        ? [chain]
        : [chain, chain, wire, bridged, ...(dice.once(3) ? [tunnelled] : [])]
  const draft = dice.pick(shapes)(dice, ipv6)
  for (const each of draft.hosts) {
    if (each.name === 'R' || each.name === 'S') {
      each.lines.push('sysctl net.ipv4.ip_forward = 1')
      if (draft.ipv6) each.lines.push('sysctl net.ipv6.conf.all.forwarding = 1')
    }
    if (!dice.once(4)) each.lines.push('sysctl net.ipv4.conf.all.send_redirects = 0', ...quiet(each))
    each.lines.push('listen udp 7000 echo', 'listen udp 7001', 'listen tcp 80')
    // whoever nobody answers gives up within seconds: a minute is too long to wait on a real kernel
    each.lines.push(`sysctl net.ipv4.tcp_syn_retries = ${dice.number(1, 2)}`)
  }
  return draft
}

/** A device sends redirects when `all` or its own setting allows it. */
function quiet({ devices }: DraftHost): string[] {
  return devices.map(({ name }) => `sysctl net.ipv4.conf.${name}.send_redirects = 0`)
}

const deviceSettings: readonly (readonly [string, number])[] = [
  ['net.ipv4.conf.DEV.rp_filter', 2],
  ['net.ipv4.conf.DEV.forwarding', 1],
  ['net.ipv4.conf.DEV.accept_local', 1],
  ['net.ipv4.conf.DEV.route_localnet', 1],
  ['net.ipv4.conf.DEV.arp_ignore', 2],
  ['net.ipv4.conf.DEV.arp_announce', 2],
  ['net.ipv4.conf.DEV.arp_filter', 1],
  ['net.ipv4.conf.DEV.arp_accept', 1],
  ['net.ipv4.conf.DEV.src_valid_mark', 1],
]

const hostSettings: readonly (readonly [string, readonly number[]])[] = [
  ['net.ipv4.ip_forward', [0, 1]],
  ['net.ipv4.ip_default_ttl', [1, 2, 33]],
  ['net.ipv4.icmp_echo_ignore_all', [1]],
  ['net.ipv4.icmp_echo_ignore_broadcasts', [0]],
  ['net.ipv4.icmp_ratelimit', [0]],
  ['net.ipv4.conf.all.rp_filter', [1, 2]],
  ['net.ipv4.conf.all.arp_ignore', [1, 2]],
  ['net.ipv4.fwmark_reflect', [1]],
]

/** Settings of hosts and devices. */
export function settings(dice: Dice, draft: Draft): void {
  for (const each of draft.hosts) {
    for (const [key, values] of dice.some(hostSettings, 2))
      each.lines.push(`sysctl ${key} = ${dice.pick(values)}`)
    for (const [key, most] of dice.some(deviceSettings, 3)) {
      const { name } = dice.pick(each.devices)
      each.lines.push(`sysctl ${key.replace('DEV', name)} = ${dice.number(0, most)}`)
    }
    if (draft.ipv6 && dice.once(5))
      each.lines.push(`sysctl net.ipv6.conf.all.forwarding = ${dice.number(0, 1)}`)
  }
}
