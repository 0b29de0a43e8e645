// What the kernel would refuse with EEXIST or EADDRINUSE because it is there already: a second listener on a port, a
// second route of the same kind to one prefix, a program that stands twice at one tcx hook.
import type { Report } from '../../base/diagnostic.ts'
import { textOf } from '../../base/text.ts'
import { isIpv4, sameIp } from '../../net/address.ts'
import type { AttachmentModel } from '../device-model.ts'
import { mistake } from '../diagnose.ts'
import type { ListenModel, RouteModel } from '../model.ts'
import type { WorldDraft } from '../resolve/world.ts'

/** Looks at every namespace of the resolved world. */
export function entriesDiffer({ world }: WorldDraft, report: Report): void {
  for (const namespace of world.namespaces) {
    twice(namespace.listens, sharePort, 'S106', report)
    twice(namespace.routes, sameRoute, 'S126', report)
    for (const device of namespace.devices) {
      twice(device.attachments, sameLink, 'S110', report)
      oneProtocol(device.attachments, report)
    }
  }
}

interface Filter {
  readonly pref: number
  readonly attachment: AttachmentModel
}

/** tc_new_tfilter(): the filters of one preference are for one protocol. Without a preference they count on (boot/attach.ts). */
function oneProtocol(attachments: readonly AttachmentModel[], report: Report): void {
  const filters: Filter[] = []
  let next = 1
  for (const attachment of attachments) {
    const { hook, protocol = 'all' } = attachment
    if (hook !== 'tc-in' && hook !== 'tc-out') continue
    const pref = attachment.pref ?? next
    next = pref + 1
    const first = filters.find(
      (other) =>
        other.pref === pref &&
        other.attachment.hook === hook &&
        (other.attachment.protocol ?? 'all') !== protocol,
    )
    if (first === undefined) filters.push({ pref, attachment })
    else
      report(
        mistake('S110', attachment.span, `filters of preference ${pref} are for one protocol`, {
          hint: 'give it another `pref`',
          notes: [{ message: 'the first one is here', span: first.attachment.span }],
        }),
      )
  }
}

type Entry = ListenModel | RouteModel | AttachmentModel

function twice<T extends Entry>(
  list: readonly T[],
  clash: (first: T, second: T) => boolean,
  code: 'S106' | 'S110' | 'S126',
  report: Report,
): void {
  if (list.length < 2) return
  list.forEach((each, index) => {
    const first = list.slice(0, index).find((other) => clash(other, each))
    if (first === undefined) return
    const words = textOf(each.span).split('\n')[0] ?? ''
    report(
      mistake(code, each.span, `\`${words}\` is there already`, {
        hint: 'the kernel refuses a second one; remove it',
        notes: [{ message: 'the first one is here', span: first.span }],
      }),
    )
  })
}

/** inet_csk_get_port(), udp_lib_get_port(): the same port of addresses that overlap, unless both share it. */
function sharePort(first: ListenModel, second: ListenModel): boolean {
  if (first.protocol !== second.protocol || first.port !== second.port) return false
  if (first.reuseport === true && second.reuseport === true) return false
  if (!familiesOf(first).some((family) => familiesOf(second).includes(family))) return false
  if (first.address === undefined || second.address === undefined) return true
  return sameIp(first.address, second.address)
}

function familiesOf({ address, v6only }: ListenModel): readonly (4 | 6)[] {
  if (address !== undefined) return isIpv4(address) ? [4] : [6]
  return v6only === true ? [6] : [4, 6]
}

/** fib_table_insert(): the same prefix, table, priority and TOS. IPv6 joins next hops instead. */
function sameRoute(first: RouteModel, second: RouteModel): boolean {
  return (
    isIpv4(first.prefix.address) &&
    sameIp(first.prefix.address, second.prefix.address) &&
    first.prefix.length === second.prefix.length &&
    first.table === second.table &&
    first.metric === second.metric &&
    first.tos === second.tos
  )
}

/** tcx_prog_attach(): a program stands once at a hook. */
function sameLink(first: AttachmentModel, second: AttachmentModel): boolean {
  return first.hook.startsWith('tcx') && first.hook === second.hook && first.program === second.program
}
