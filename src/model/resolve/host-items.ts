// What else stands inside a host: neighbours, forwarding entries, sockets.
import type { Fdb, Listen, Neighbour } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import type { FdbModel, ListenModel, NeighbourModel } from '../model.ts'
import { addressIn, macIn } from '../words/addresses.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { isSet, optionOf, optionValue } from '../words/options.ts'
import type { HostDraft } from '../world/entities.ts'
import { deviceNamed, type Scope } from './scope.ts'

/** One neighbour entry; permanent unless a state is given, as `ip neigh add` makes it. */
export function readNeighbour(item: Neighbour, host: HostDraft, scope: Scope): NeighbourModel | undefined {
  const address = addressIn(item.address, scope.report)
  const device = deviceNamed(item.device, host, scope)
  const mac = item.mac === null ? undefined : macIn(item.mac, scope.report)
  if (address === undefined || device === undefined || (item.mac !== null && mac === undefined))
    return undefined
  const state = item.form === 'proxy' ? 'proxy' : (item.state ?? 'permanent')
  if (mac === undefined && state !== 'proxy' && state !== 'failed' && state !== 'incomplete') {
    scope.report(
      mistake('S125', item.span, 'a neighbour needs a MAC address', {
        hint: `only \`failed\` and \`incomplete\` entries are without one`,
      }),
    )
    return undefined
  }
  const base = { address, device: item.device.text, state, span: item.span } as const
  return mac === undefined ? base : { ...base, mac }
}

/** One entry of a bridge's forwarding table; static and local ones never age. */
export function readFdb(item: Fdb, host: HostDraft, scope: Scope): FdbModel | undefined {
  const mac = macIn(item.mac, scope.report)
  const word = optionValue(item.options, 'dev')
  if (word === undefined) {
    scope.report(
      mistake('S125', item.span, 'a forwarding entry needs a device', { hint: 'add `dev DEVICE`' }),
    )
    return undefined
  }
  if (mac === undefined || deviceNamed(word, host, scope) === undefined) return undefined
  const permanent = (['static', 'permanent', 'local'] as const).some((name) => isSet(item.options, name))
  const dynamic = optionOf(item.options, 'dynamic') !== undefined
  return { mac, device: word.text, permanent: permanent || !dynamic, span: item.span }
}

/** One socket that waits for traffic. */
export function readListen(item: Listen, scope: Scope): ListenModel | undefined {
  const port = numberIn(item.port, ranges.port, scope.report)
  const on = optionValue(item.options, 'on')
  const address = on === undefined ? undefined : addressIn(on, scope.report)
  if (port === undefined || item.protocol === 'sctp') return undefined
  return {
    protocol: item.protocol,
    port,
    app: item.app ?? 'accept',
    span: item.span,
    ...(address === undefined ? {} : { address }),
  }
}
