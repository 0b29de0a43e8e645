// The sysctls that the simulated kernel reads, with what may be written into each. DEV stands for a device, `all` or
// `default`. A key that is not here is a mistake: a setting that has no effect would be worse than none.

import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { integerOf } from './numbers.ts'
import { conntrackLimits } from './sysctls-conntrack.ts'

const ipv4 = [
  'ip_forward',
  'ip_default_ttl',
  'ip_forward_update_priority',
  'icmp_echo_ignore_all',
  'icmp_echo_ignore_broadcasts',
  'icmp_ratelimit',
  'icmp_ratemask',
  'icmp_msgs_per_sec',
  'icmp_msgs_burst',
  'tcp_syn_retries',
  'tcp_synack_retries',
  'tcp_syn_linear_timeouts',
  'tcp_timestamps',
  'tcp_fin_timeout',
  'tcp_rmem',
  'ip_local_port_range',
  'ip_unprivileged_port_start',
  'ip_nonlocal_bind',
  'tcp_fwmark_accept',
  'tcp_invalid_ratelimit',
  'fwmark_reflect',
  'vs.conntrack',
  'vs.conn_reuse_mode',
  'vs.expire_nodest_conn',
  'vs.expire_quiescent_template',
]

const ipv4Device = [
  'forwarding',
  'rp_filter',
  'accept_local',
  'route_localnet',
  'arp_ignore',
  'arp_announce',
  'arp_filter',
  'arp_notify',
  'arp_accept',
  'proxy_arp',
  'proxy_arp_pvlan',
  'send_redirects',
  'accept_redirects',
  'secure_redirects',
  'shared_media',
  'src_valid_mark',
  'log_martians',
  'disable_policy',
]

const ipv6Device = [
  'forwarding',
  'disable_ipv6',
  'proxy_ndp',
  'hop_limit',
  'accept_dad',
  'accept_ra',
  'seg6_enabled',
]

const neighbour = [
  'proxy_delay',
  'base_reachable_time_ms',
  'retrans_time_ms',
  'delay_first_probe_time',
  'mcast_solicit',
  'ucast_solicit',
  'unres_qlen_bytes',
]

const plain = [
  'net.core.txrehash',
  'net.ipv6.fwmark_reflect',
  'net.ipv6.icmp.ratelimit',
  'net.bridge.bridge-nf-call-iptables',
  'net.bridge.bridge-nf-call-ip6tables',
  'net.bridge.bridge-nf-call-arptables',
  ...conntrackLimits.keys(),
]

/** Every key, with DEV where a device stands. */
export const sysctlKeys: ReadonlySet<string> = new Set([
  ...ipv4.map((name) => `net.ipv4.${name}`),
  ...plain,
  ...ipv4Device.map((name) => `net.ipv4.conf.DEV.${name}`),
  ...ipv6Device.map((name) => `net.ipv6.conf.DEV.${name}`),
  ...[...neighbour, 'app_solicit', 'locktime'].map((name) => `net.ipv4.neigh.DEV.${name}`),
  ...neighbour.map((name) => `net.ipv6.neigh.DEV.${name}`),
])

const perDevice = /^(net\.ipv[46]\.(?:conf|neigh))\.(.+)\.([a-z0-9_]+)$/

/** A sysctl as the kernel part reads it. */
export interface SysctlSetting {
  readonly key: string
  readonly value: number
  readonly word: Word
}

/** Slashes become dots, a key of a device's block gets the device, and `ip_forward` its other name. */
function canonical(text: string, device: string | undefined): string {
  const dotted = text.includes('/') ? text.replaceAll('/', '.') : text
  if (device !== undefined && !dotted.startsWith('net.')) {
    const [family, name] = dotted.includes('.') ? dotted.split('.') : ['ipv4', dotted]
    return `net.${family}.conf.${device}.${name}`
  }
  return dotted === 'net.ipv4.ip_forward' ? 'net.ipv4.conf.all.forwarding' : dotted
}

/**
 * Reads one setting. `device` is the device whose block it stands in; `devices` are the names that a key may hold.
 * `net.ipv4.ip_forward` is the kernel's other name of `net.ipv4.conf.all.forwarding`; a port range becomes two settings.
 */
export function sysctlIn(
  { key, value }: { readonly key: Word; readonly value: Word },
  where: { readonly device?: string; readonly devices: Iterable<string> },
  report: Report,
): readonly SysctlSetting[] {
  const name = canonical(key.text, where.device)
  const match = perDevice.exec(name)
  const [pattern, device] =
    match === null ? [name, undefined] : [`${match[1]}.DEV.${match[3]}`, match[2] ?? '']
  if (!sysctlKeys.has(pattern)) {
    const near = didYouMean(pattern, sysctlKeys)?.replace('DEV', device ?? 'all')
    report(mistakeIn('S124', key, `no sysctl is called \`${key.text}\``, { hint: near }))
    return []
  }
  if (device !== undefined && device !== 'all' && device !== 'default' && device !== 'lo') {
    const known = [...where.devices]
    if (!known.includes(device)) {
      const hint = didYouMean(device, [...known, 'all', 'default'])
      report(mistakeIn('S103', key, `there is no device \`${device}\``, { hint }))
      return []
    }
  }
  return valuesOf(name, key, value, report)
}

/** Sysctls of several numbers: what each is called, and how the whole is written. */
const tuples: ReadonlyMap<string, { readonly parts: readonly string[]; readonly hint: string }> = new Map([
  ['net.ipv4.ip_local_port_range', { parts: ['first', 'last'], hint: 'two ports are needed: `32768 60999`' }],
  [
    'net.ipv4.tcp_rmem',
    { parts: ['min', 'default', 'max'], hint: 'three sizes in bytes are needed: `4096 131072 33554432`' },
  ],
])

/** `KEY = VALUE` of each setting as a file says it; the numbers of a sysctl that has several stand together. */
export function sysctlTexts(
  settings: readonly { readonly key: string; readonly value: number }[],
): readonly string[] {
  const values = new Map(settings.map(({ key, value }) => [key, value]))
  return settings.flatMap(({ key, value }) => {
    const [name, { parts }] = [...tuples].find(([each]) => key.startsWith(`${each}.`)) ?? [key, { parts: [] }]
    if (parts.length === 0) return [`${key} = ${value}`]
    // the first of them speaks for all
    if (key !== `${name}.${parts[0]}`) return []
    return [`${name} = "${parts.map((part) => values.get(`${name}.${part}`)).join(' ')}"`]
  })
}

function valuesOf(name: string, key: Word, value: Word, report: Report): readonly SysctlSetting[] {
  const tuple = tuples.get(name)
  const numbers = value.text.trim().split(/\s+/).map(integerOf)
  const settings = numbers.flatMap((number, at) =>
    number === undefined
      ? []
      : [{ key: tuple === undefined ? name : `${name}.${tuple.parts[at]}`, value: number, word: key }],
  )
  const max = conntrackLimits.get(name)
  if (max !== undefined && settings.some((setting) => setting.value < 0 || setting.value > max)) {
    report(mistakeIn('S144', value, `\`${key.text}\` is a number from 0 to ${max}`))
    return []
  }
  const wanted = tuple?.parts.length ?? 1
  if (settings.length === wanted && numbers.length === wanted) return settings
  const hint = tuple?.hint ?? 'a number is needed here'
  report(mistakeIn('S144', value, `\`${value.text}\` is not a value for \`${key.text}\``, { hint }))
  return []
}
