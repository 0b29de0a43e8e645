// Fields of the messages that packets carry: `http.method`, `dns.rcode`. Read from the payload of the packet as it was seen; a
// packet whose payload does not start with a message has none.
import { DnsStream } from '../../app/dns-stream.ts'
import { type DnsMessage, dnsCodeName, dnsTypeName, readDns } from '../../net/dns.ts'
import type { FieldValue } from '../../net/field-spec.ts'
import { headerOf, pathOf, readHttpHead } from '../../net/http.ts'

const text = (value: string): FieldValue => ({ kind: 'bytes', value: new TextEncoder().encode(value) })
const number = (value: number): FieldValue => ({ kind: 'number', value })

/** Whether a field is one of a message. */
export function isMessageField(path: string): boolean {
  return /^(http|dns)(\.|$)/.test(path)
}

function httpValues(path: string, payload: Uint8Array): readonly FieldValue[] {
  const head = readHttpHead(payload)
  if (head === undefined) return []
  const { headers } = head
  if (path === 'http') return [number(1)]
  if (path === 'http.header') return headers.map(({ name, value }) => text(`${name.toLowerCase()}: ${value}`))
  if (head.kind === 'response') return path === 'http.status' ? [number(head.status)] : []
  switch (path) {
    case 'http.method':
      return [text(head.method)]
    case 'http.path':
      return [text(pathOf(head.target))]
    case 'http.url':
      return [text(head.target)]
    case 'http.host': {
      const host = headerOf(headers, 'host')
      return host === undefined ? [] : [text(host)]
    }
    default:
      return []
  }
}

function dnsValue(path: string, message: DnsMessage): FieldValue | undefined {
  switch (path) {
    case 'dns':
      return number(1)
    case 'dns.name':
      return text(message.name)
    case 'dns.type':
      return text(dnsTypeName(message.type))
    case 'dns.rcode':
      return message.isResponse ? text(dnsCodeName(message.code)) : undefined
    default:
      return undefined
  }
}

/** A message of DNS; in a stream it stands behind its length. */
function dnsMessage(payload: Uint8Array, inStream: boolean): DnsMessage | undefined {
  if (!inStream) return readDns(payload)
  const stream = new DnsStream()
  stream.push(payload)
  const first = stream.take()
  return first === undefined ? undefined : readDns(first)
}

/** The values of a field of a message: several of `http.header`, at most one of others. */
export function messageFields(path: string, payload: Uint8Array, inStream: boolean): readonly FieldValue[] {
  if (path.startsWith('http')) return httpValues(path, payload)
  const message = dnsMessage(payload, inStream)
  const value = message === undefined ? undefined : dnsValue(path, message)
  return value === undefined ? [] : [value]
}
