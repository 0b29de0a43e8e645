// What `ip` and `bridge` say when the kernel refuses a change (iproute2 6.1 over Linux 6.18): the words stand in the golden,
// for a change that does nothing would mislead whoever reads the rest.
import type { AdminResult } from '../kernel/device/change.ts'
import type { RouteModel, RuleModel } from '../model/model.ts'
import type { HostChange } from '../model/step.ts'
import { formatIp, isIpv4 } from '../net/address.ts'
import { formatMac } from '../net/mac.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { StepTrace } from '../trace/event.ts'

/** strerror() of what rtnetlink answers here. */
const errnoTexts: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EEXIST: 'File exists',
  EHOSTUNREACH: 'No route to host',
  EINVAL: 'Invalid argument',
  ENETDOWN: 'Network is down',
  ENETUNREACH: 'Network is unreachable',
  ENODEV: 'No such device',
  ENOENT: 'No such file or directory',
  ESRCH: 'No such process',
}

/** What the kernel says itself (extack), where it does: by kind of item and errno. */
function explained({ item }: HostChange, errno: string): string | undefined {
  if (item.kind === 'addr') {
    const four = isIpv4(item.prefix.address)
    if (errno === 'EEXIST') return four ? 'ipv4: Address already assigned' : 'ipv6: address already assigned'
    if (errno === 'EADDRNOTAVAIL') return four ? 'ipv4: Address not found' : 'ipv6: address not found'
  }
  if (item.kind !== 'route' || !isIpv4(item.route.prefix.address)) return undefined
  if (errno === 'ENETUNREACH') return 'Nexthop has invalid gateway'
  return errno === 'ENETDOWN' ? 'Device for nexthop is not up' : undefined
}

/** The answer as the tool prints it; undefined for a change that was made. */
export function answerTo(change: HostChange, result: AdminResult): string | undefined {
  if (result.ok) return undefined
  const { errno } = result
  const said = result.said ?? explained(change, errno)
  return said === undefined ? `RTNETLINK answers: ${errnoTexts[errno] ?? errno}` : `Error: ${said}.`
}

function routeWords({ prefix, type, table, nexthops }: RouteModel): string {
  const [hop] = nexthops
  const words = [type === 'unicast' ? '' : `${type} `, formatPrefix(prefix)]
  if (hop?.via !== undefined) words.push(` via ${formatIp(hop.via)}`)
  if (hop?.device !== undefined) words.push(` dev ${hop.device}`)
  return `${words.join('')}${table === mainTable ? '' : ` table ${table}`}`
}

/** RT_TABLE_MAIN. */
const mainTable = 254

function ruleWords({ priority, from, to, mark }: RuleModel): string {
  const words = [
    priority === undefined ? '' : ` pref ${priority}`,
    from === undefined ? '' : ` from ${formatPrefix(from)}`,
    to === undefined ? '' : ` to ${formatPrefix(to)}`,
    mark === undefined ? '' : ` fwmark 0x${mark.value.toString(16)}`,
  ]
  return words.join('').trimStart()
}

function itemWords({ item }: HostChange): string {
  switch (item.kind) {
    case 'route':
      return routeWords(item.route)
    case 'rule':
      return ruleWords(item.rule)
    case 'neigh':
      return `${formatIp(item.neighbour.address)} dev ${item.neighbour.device}`
    case 'fdb':
      return `${formatMac(item.fdb.mac)} dev ${item.fdb.device}`
    case 'addr':
      return `${formatPrefix(item.prefix)} dev ${item.device}`
    default:
      return ''
  }
}

/** The word in front of the titles of refused changes; that of no other step. */
const front = 'on '

/** What a case's steps were refused, one line for each: `on n1 del route 10.9.0.0/16: RTNETLINK answers: ...`. */
export function refusalsOf(steps: readonly StepTrace[]): string[] {
  return steps.flatMap(({ title, shown }) =>
    title.startsWith(front) && shown !== undefined ? [`${title.replace(/ #\d+$/, '')}: ${shown.text}`] : [],
  )
}

/** What the golden calls the step: `on n1 del route 10.9.0.0/16`. */
export function changeTitle(change: HostChange): string {
  return `${front}${change.namespace} ${change.verb} ${change.item.kind} ${itemWords(change)}`.trimEnd()
}
