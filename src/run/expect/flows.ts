// Claims about flows: how the calls of the sockets ended, what the client's socket gathered and is called.
import type { Claim } from '../../model/claim.ts'
import { type Answer, expectedActual, missAt, missHere } from './answer.ts'
import type { ClaimContext, FlowResult } from './context.ts'
import * as fate from './fate.ts'
import { shownValue } from './field-text.ts'

function flowText(flow: FlowResult): string {
  const [call, errno] = [...flow.errnos][0] ?? []
  if (call !== undefined) return `${call} failed with ${errno}`
  if (flow.closed) return 'closed'
  return flow.established ? 'established' : 'not established'
}

/** An entry with this errno, from this host where one is named; `-` for a queue that is empty. */
function queueAnswer(
  flow: FlowResult,
  { errno, from }: Extract<Claim['body'], { readonly kind: 'error-queue' }>,
  context: ClaimContext,
): Answer {
  const entries = flow.errorQueue.map((entry) => ({
    errno: entry.errno,
    name: entry.offender === undefined ? '' : context.nameOf(entry.offender),
  }))
  const isFrom = (name: string): boolean =>
    from === undefined || name === from.value.text || name.startsWith(`${from.value.text}/`)
  const found = entries.some((entry) => entry.errno === errno.value && isFrom(entry.name))
  if (errno.value === '-' ? entries.length === 0 : found) return undefined
  const texts = entries.map((entry) =>
    entry.name === '' ? entry.errno : `${entry.errno} from ${entry.name}`,
  )
  return missAt(errno, expectedActual(errno.value, texts.length === 0 ? 'no error' : texts.join(', ')))
}

/** How the calls of a flow's sockets ended, and what its socket knows. */
export function flowAnswer(flow: FlowResult, claim: Claim, context: ClaimContext): Answer {
  const { body } = claim
  switch (body.kind) {
    case 'flow-state':
      return flowStateHolds(flow, body.state)
        ? undefined
        : missHere(claim.span, expectedActual(body.state, flowText(flow)))
    case 'errno': {
      const actual = flow.errnos.get(body.call) ?? '-'
      return actual === body.errno.value
        ? undefined
        : missAt(body.errno, expectedActual(body.errno.value, actual === '-' ? 'no error' : actual))
    }
    case 'error-queue':
      return queueAnswer(flow, body, context)
    case 'socket-name': {
      const name = body.call === 'getpeername' ? flow.peerName : flow.localName
      const wanted = body.value.value
      const same =
        name !== undefined &&
        (wanted.kind === 'endpoint' || wanted.kind === 'addresses') &&
        wanted.addresses.some((each) => String(each) === String(name.address)) &&
        (wanted.kind === 'addresses' || wanted.port === undefined || wanted.port === name.port)
      if (same === (body.operator === '==')) return undefined
      const actual = name === undefined ? 'no name' : `${context.nameOf(name.address)}:${name.port}`
      return missAt(body.value, expectedActual(shownValue(wanted, context), actual))
    }
    case 'icmp':
      return fate.icmp(flow.label, body, context)
    default:
      return missHere(claim.span, `this claim speaks of a packet; name one of ${flow.label}'s packets`)
  }
}

function flowStateHolds(
  flow: FlowResult,
  state: 'established' | 'timeout' | 'closed' | 'refused' | 'reset',
): boolean {
  const errnos = [...flow.errnos.values()]
  switch (state) {
    case 'established':
      return flow.established
    case 'closed':
      return flow.closed
    case 'timeout':
      return errnos.includes('ETIMEDOUT')
    case 'refused':
      return errnos.includes('ECONNREFUSED')
    case 'reset':
      return errnos.includes('ECONNRESET')
  }
}
