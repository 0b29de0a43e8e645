// Values of fields in words: those of a trace, those of a message, and what the file says.
import { durationText } from '../../base/duration.ts'
import type { Value } from '../../model/claim.ts'
import { formatIp, type IpAddress } from '../../net/address.ts'
import { type FieldValue, formatFieldValue } from '../../net/field-spec.ts'
import { formatMac } from '../../net/mac.ts'
import { formatPrefix } from '../../net/prefix.ts'
import { formatTcpFlags } from '../../net/tcp.ts'
import type { ClaimContext } from './context.ts'

/** The address that a value is, if it is one. */
export const addressOf = (value: FieldValue): IpAddress | undefined =>
  value.kind === 'ipv4' || value.kind === 'ipv6' ? value.value : undefined

/** More of a payload is not compared with the text of a file. */
const shownBytes = 4096

/** A field's value in the words of a trace: names for addresses, characters for the bytes of a payload. */
export function textOf(value: FieldValue, context: ClaimContext): string {
  if (value.kind === 'bytes') return String.fromCharCode(...value.value.subarray(0, shownBytes))
  return formatFieldValue(value, { ip: context.nameOf, mac: formatMac })
}

/** The same for a message: a name with its address behind it. */
function shownAddress(address: IpAddress, context: ClaimContext): string {
  const name = context.nameOf(address)
  const text = formatIp(address)
  return name === text ? text : `${name} (${text})`
}

/** A field's value as a message says it. */
export function shownField(value: FieldValue, context: ClaimContext): string {
  const address = addressOf(value)
  return address === undefined ? textOf(value, context) : shownAddress(address, context)
}

/** What the file says, in its own words, with the address behind a name. */
export function shownValue(value: Value, context: ClaimContext): string {
  switch (value.kind) {
    case 'number':
      return String(value.number)
    case 'flags':
      return formatTcpFlags(value.flags)
    case 'mac':
      return formatMac(value.mac)
    case 'addresses':
    case 'endpoint': {
      const [first] = value.addresses
      const name = value.kind === 'addresses' && value.name !== undefined ? value.name : undefined
      const text =
        first === undefined
          ? ''
          : name === undefined
            ? shownAddress(first, context)
            : `${name} (${formatIp(first)})`
      return value.kind === 'endpoint' && value.port !== undefined ? `${text}:${value.port}` : text
    }
    case 'prefix':
      return formatPrefix(value.prefix)
    case 'text':
      return value.text
    case 'list':
      return `[${value.items.map((item) => shownValue(item, context)).join(', ')}]`
    case 'field':
      return value.field
    case 'variable': {
      const bound = context.captured.get(value.name)
      return bound === undefined ? `$${value.name} (never captured)` : shownValue(bound, context)
    }
    case 'nothing':
      return 'nothing'
  }
}

/** The same for a time. */
export function shownTime(value: Value, context: ClaimContext): string {
  return value.kind === 'number' ? durationText(value.number) : shownValue(value, context)
}
