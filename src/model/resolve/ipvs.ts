// `ipvs { tcp 10.96.0.10:80 rr -> 10.0.1.10:8080 masq, ... }` as the text that ipvsadm saves, so that both forms are one
// thing from here on. Mistakes are found here, at their words.
import type { Report } from '../../base/diagnostic.ts'
import { formatIp, isIpv4, parseIpv4 } from '../../net/address.ts'
import type { Endpoint, Ipvs, IpvsServer, IpvsService } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { RulesetModel } from '../ruleset.ts'
import { addressIn } from '../words/addresses.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import { notYet, optionsNotYet } from './unavailable.ts'

const weights = { what: 'a weight', min: 0, max: 65_535 } as const
const seconds = { what: 'a number of seconds', min: 1, max: 0x7fff_ffff } as const

/** `10.96.0.10:80`; undefined after a message. */
function endOf({ host, port, span }: Endpoint, report: Report): string | undefined {
  const address = addressIn(host, report)
  const number = port === null ? undefined : numberIn(port, ranges.port, report)
  if (address === undefined) return undefined
  if (!isIpv4(address)) {
    notYet(span, 'an ipvs service of IPv6', report)
    return undefined
  }
  if (port === null) report(mistake('S125', span, 'a port is missing', { hint: 'add `:80`' }))
  return number === undefined ? undefined : `${formatIp(address)}:${number}`
}

/** ` -p 300 -M 255.255.255.0`. */
function persistence({ options }: IpvsService, report: Report): string | undefined {
  const time = optionValue(options, 'persistent')
  const mask = optionValue(options, 'netmask')
  const number = time === undefined ? undefined : numberIn(time, seconds, report)
  if (mask !== undefined && parseIpv4(mask.text) === undefined) {
    report(mistakeIn('S104', mask, `\`${mask.text}\` is not a mask`, { hint: 'as in `255.255.255.0`' }))
    return undefined
  }
  if (mask !== undefined && time === undefined) {
    report(mistake('S125', mask.span, '`netmask` goes with `persistent`', {}))
    return undefined
  }
  return `${number === undefined ? '' : ` -p ${number}`}${mask === undefined ? '' : ` -M ${mask.text}`}`
}

/** ` -m -w 1`; ipvsadm forwards by direct routing where nothing is said. */
function forwarding({ options }: IpvsServer, report: Report): string {
  const tunnel = optionOf(options, 'tunnel')
  if (tunnel !== undefined) notYet(tunnel.span, '`tunnel`', report)
  const word = optionValue(options, 'weight')
  const weight = word === undefined ? 1 : numberIn(word, weights, report)
  return ` ${isSet(options, 'masq') ? '-m' : '-g'} -w ${weight ?? 1}`
}

function serverLines(service: IpvsService, head: string, report: Report): readonly string[] {
  const known = new Set<string>()
  return service.servers.flatMap((server) => {
    const end = endOf(server.address, report)
    if (end === undefined) return []
    if (known.has(end)) {
      report(mistake('S102', server.address.span, `\`${end}\` is a server of this service already`, {}))
      return []
    }
    known.add(end)
    return [`-a ${head} -r ${end}${forwarding(server, report)}`]
  })
}

function serviceLines(
  service: IpvsService,
  place: 'topology' | 'step',
  report: Report,
): { readonly head: string; readonly lines: readonly string[] } {
  const { protocol, address, scheduler, options } = service
  const end = endOf(address, report)
  const rest = persistence(service, report)
  optionsNotYet(options, ['flags'], report)
  if (protocol === 'sctp') notYet(service.span, 'an ipvs service of sctp', report)
  if (scheduler?.text === 'mh') notYet(scheduler.span, 'the scheduler mh', report)
  const head = `${protocol === 'udp' ? '-u' : '-t'} ${end ?? ''}`
  const servers = serverLines(service, head, report)
  if (end === undefined || rest === undefined || scheduler?.text === 'mh') return { head: '', lines: [] }
  // a step that names servers alone does not speak of the service
  const tells = place === 'topology' || scheduler !== null || servers.length === 0
  const own = scheduler === null ? '' : ` -s ${scheduler.text}`
  return { head, lines: [...(tells ? [`-A ${head}${own}${rest}`] : []), ...servers] }
}

/** The services of a block. */
export function readIpvs(item: Ipvs, place: 'topology' | 'step', report: Report): RulesetModel {
  const known = new Set<string>()
  const lines: string[] = []
  for (const service of item.services) {
    const { head, lines: made } = serviceLines(service, place, report)
    if (head !== '' && known.has(head)) {
      report(mistake('S102', service.address.span, 'this service is there already', {}))
      continue
    }
    known.add(head)
    lines.push(...made)
  }
  return { tool: 'ipvs', text: lines.map((line) => `${line}\n`).join(''), span: item.span }
}
