// `tc filter show dev DEV ingress|egress` and `tc [-s] qdisc show [dev DEV]`, as iproute2 6.1 prints them. tcx programs are
// no filters: like the real tool, `tc` does not see them (`bpftool net show` does).
import { etherType, etherTypeName } from '../../net/protocol.ts'
import type { NetDevice } from '../device/device.ts'
import type { TcAction, TcDirection, TcProgram } from '../tc/hook.ts'
import { type BpfObjects, objectName, printedName, programId, programTag } from './bpf-objects.ts'
import { qdiscName } from './link-state.ts'
import { fqLines } from './tc-fq.ts'

/** `1:10` of 0x10010. */
function classText(classid: number): string {
  return `${(classid >>> 16).toString(16)}:${(classid & 0xffff).toString(16)}`
}

function actionLines(action: TcAction, order: number, dev: NetDevice): readonly string[] {
  const indexes = `\tindex ${order} ref 1 bind 1`
  if (action.kind !== 'mirred') {
    return [
      `\taction order ${order}: gact action ${action.kind}`,
      '\t random type none pass val 0',
      `\t ${indexes.trim()}`,
    ]
  }
  const side = action.direction === 'egress' ? 'Egress' : 'Ingress'
  const mode = action.mode === 'mirror' ? 'Mirror' : 'Redirect'
  const target = dev.ns.devices.get(action.ifindex)?.name ?? String(action.ifindex)
  const control = action.mode === 'mirror' ? 'pipe' : 'stolen'
  return [`\taction order ${order}: mirred (${side} ${mode} to device ${target}) ${control}`, indexes]
}

function filterLines(filter: TcProgram, dev: NetDevice, objects: BpfObjects): readonly string[] {
  const protocol = filter.protocol === 'all' ? 'all' : filterProtocol(filter.protocol)
  const head = `filter protocol ${protocol} pref ${filter.pref} bpf chain 0 `
  const { program } = filter
  const words = [
    `handle 0x${filter.handle.toString(16)}`,
    ...(filter.classid === 0 ? [] : [`flowid ${classText(filter.classid)}`]),
    filter.name ?? program.name,
    ...(filter.directAction ? ['direct-action'] : []),
    'not_in_hw',
    `id ${programId(objects, program)}`,
    ...(printedName(objects, program) === '' ? [] : [`name ${objectName(program.name)}`]),
    `tag ${programTag(program)}`,
  ]
  const actions = filter.actions.flatMap((action, index) => actionLines(action, index + 1, dev))
  return [`${head}${words.join(' ')} `, ...actions, ...(actions.length === 0 ? [] : [''])]
}

/** tc's own words: `ip`, `ipv6`, `arp`. */
function filterProtocol(type: number): string {
  return type === etherType.ipv4 ? 'ip' : etherTypeName(type)
}

/** `tc filter show dev DEV ingress`: each preference has a line of its own before its filters. */
export function showFilters(dev: NetDevice, direction: TcDirection, objects: BpfObjects): string {
  const hook = direction === 'ingress' ? dev.tcIngress : dev.tcEgress
  const lines: string[] = []
  let pref = -1
  for (const filter of hook?.filters ?? []) {
    const own = filterLines(filter, dev, objects)
    if (filter.pref !== pref) {
      const [first = ''] = own
      lines.push(first.slice(0, first.indexOf('handle ')))
    }
    pref = filter.pref
    lines.push(...own)
  }
  return lines.map((line) => `${line}\n`).join('')
}

const noStatistics = [
  ' Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) ',
  ' backlog 0b 0p requeues 0',
] as const

function qdiscLines(dev: NetDevice, options: QdiscOptions): readonly string[] {
  const on = options.named ? '' : `dev ${dev.name} `
  const fq = fqLines(dev, options)
  const root = qdiscName(dev)
  const bands = root === 'pfifo_fast' ? ' bands 3 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1' : ' '
  const lines =
    fq !== undefined ? [...fq] : root === 'noop' ? [] : [`qdisc ${root} 0: ${on}root refcnt 2${bands}`]
  if (fq === undefined && options.statistics && root !== 'noop') lines.push(...noStatistics)
  const { tcIngress, tcEgress } = dev
  if ((tcIngress?.filters.length ?? 0) + (tcEgress?.filters.length ?? 0) === 0) return lines
  lines.push(`qdisc clsact ffff: ${on}parent ffff:fff1 `)
  if (options.statistics) {
    const drops = (tcIngress?.drops ?? 0) + (tcEgress?.drops ?? 0)
    lines.push(
      ` Sent 0 bytes 0 pkt (dropped ${drops}, overlimits 0 requeues 0) `,
      ' backlog 0b 0p requeues 0',
    )
  }
  return lines
}

export interface QdiscOptions {
  readonly statistics: boolean
  /** One device was asked for: its name is then left out. */
  readonly named: boolean
}

/**
 * `tc qdisc show`. A device with filters has clsact. Of its statistics only `dropped` is counted here (bytes and packets
 * stay 0).
 */
export function showQdiscs(devices: readonly NetDevice[], options: QdiscOptions): string {
  return devices
    .flatMap((dev) => qdiscLines(dev, options))
    .map((line) => `${line}\n`)
    .join('')
}
