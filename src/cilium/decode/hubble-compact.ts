// A flow as `hubble observe` prints it when nobody asks for another form: one line (hubble/pkg/printer WriteProtoFlow, compact).
import { notifyType } from '../datapath/notify.ts'
import { reasonTexts } from './drop-text.ts'
import type { HubbleEnd, HubbleFlow, HubbleLine } from './hubble-flow.ts'
import { reservedNames } from './identity-name.ts'
import { pointNames } from './notification.ts'

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** time.StampMilli of an RFC 3339 time: `Jan  1 00:00:01.020`. */
function stamp(text = ''): string {
  const [, month = '', day = '', clock = '', digits = ''] =
    /^\d+-(\d+)-(\d+)T([\d:]+)(?:\.(\d+))?Z$/.exec(text) ?? []
  const fraction = digits.padEnd(3, '0').slice(0, 3)
  return `${months[Number(month) - 1]} ${String(Number(day)).padStart(2)} ${clock}.${fraction}`
}

/** Pod, names that the DNS proxy saw, or address; with the port where there is one. */
function hostName(
  address: string,
  port: number,
  end: HubbleEnd | undefined,
  names: readonly string[] = [],
): string {
  const { pod_name: pod = '', namespace = '' } = end ?? {}
  const own = pod !== '' ? [namespace, pod].filter((each) => each !== '').join('/') : names.join(',')
  const host = own === '' ? address : own
  if (port === 0) return host
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const firstAllocated = 256

function identityText({ identity = 0 }: HubbleEnd = {}): string {
  const name = reservedNames[identity]
  return identity < firstAllocated && name !== undefined ? `(${name})` : `(ID:${identity})`
}

const matchTexts = ['none', 'L3-Only', 'L3-L4', 'L4-Only', 'all', 'L3-Proto', 'Proto-Only']

/** GetFlowType() */
function typeText({ l7, event_type, policy_match_type = 0, traffic_direction }: HubbleFlow): string {
  if (l7 !== undefined) {
    const type = (l7.type ?? '').toLowerCase()
    if (l7.dns !== undefined) return `dns-${type} ${l7.dns.observation_source ?? ''}`
    return `${l7.http === undefined ? 'l7' : 'http'}-${type}`
  }
  const { type, sub_type: subType = 0 } = event_type ?? {}
  if (type === notifyType.TRACE) return pointNames[subType] ?? String(subType)
  if (type === notifyType.DROP) return reasonTexts[subType] ?? String(subType)
  if (type !== notifyType.POLICY_VERDICT) return 'UNKNOWN'
  const direction = traffic_direction ?? 'TRAFFIC_DIRECTION_UNKNOWN'
  return `policy-verdict:${matchTexts[policy_match_type] ?? 'unknown'} ${direction}`
}

const verdictWords: Readonly<Record<string, string>> = {
  FORWARDED: 'ALLOWED',
  REDIRECTED: 'ALLOWED',
  DROPPED: 'DENIED',
  ERROR: 'DENIED',
  AUDIT: 'AUDITED',
}

/** Verdicts of policies have words of their own. */
function verdictText({ verdict = 'VERDICT_UNKNOWN', event_type }: HubbleFlow): string {
  return event_type?.type === notifyType.POLICY_VERDICT ? (verdictWords[verdict] ?? verdict) : verdict
}

function ends(flow: HubbleFlow): readonly [source: string, destination: string] {
  const { IP: ip, ethernet, l4 = {}, source, destination } = flow
  if (ip === undefined) return [ethernet?.source ?? '', ethernet?.destination ?? '']
  const ports = l4['TCP'] ?? l4['UDP'] ?? l4['SCTP'] ?? {}
  return [
    hostName(ip.source, ports.source_port ?? 0, source, flow.source_names),
    hostName(ip.destination, ports.destination_port ?? 0, destination, flow.destination_names),
  ]
}

/** The line: replies are told from the side of who began, with an arrow that points back. */
export function compactFlow(line: HubbleLine): string {
  const { flow } = line as { readonly flow: HubbleFlow }
  const [source, destination] = ends(flow)
  const from = `${source} ${identityText(flow.source)}`
  const to = `${destination} ${identityText(flow.destination)}`
  const { is_reply: isReply, auth_type: auth, Summary: summary = '' } = flow
  const way = isReply === true ? `${to} <- ${from}` : `${from} ${isReply === undefined ? '<>' : '->'} ${to}`
  const told = auth === undefined ? summary : `${summary}; Auth: ${auth}`
  return `${stamp(flow.time)}: ${way} ${typeText(flow)} ${verdictText(flow)} (${told})`
}
