// What clients of HTTP and DNS write: bytes that the file alone decides, so that a real client can write the same.
import { textHash } from '../kernel/socket/ports.ts'
import type { FlowOperation, FlowStep } from '../model/step.ts'
import { formatIp, isIpv4 } from '../net/address.ts'
import { letters } from '../net/bytes.ts'
import { dnsType, writeDns } from '../net/dns.ts'
import { reasonPhrase, writeHttp } from '../net/http.ts'

type Operation<Kind extends FlowOperation['kind']> = Extract<FlowOperation, { readonly kind: Kind }>

const webPort = 80

/** `api`, `api:8080`, `192.0.2.1`. */
function authority({ namespace, address, port }: FlowStep['to']): string {
  const text = isIpv4(address) ? formatIp(address) : `[${formatIp(address)}]`
  const host = namespace ?? text
  return port === webPort ? host : `${host}:${port}`
}

/** A request as curl writes it. */
export function requestBytes(step: FlowStep, ask: Operation<'request'>): Uint8Array {
  const { method, url, headers, host, body: length, chunked = false } = ask
  const [, written, path = ''] = /^[a-z]+:\/\/([^/]*)(.*)$/i.exec(url) ?? [undefined, undefined, url]
  return writeHttp({
    kind: 'request',
    method,
    target: path === '' ? '/' : path,
    version: 'HTTP/1.1',
    headers: [
      { name: 'Host', value: host ?? written ?? authority(step.to) },
      { name: 'User-Agent', value: 'scn' },
      { name: 'Accept', value: '*/*' },
      ...headers,
      ...(chunked ? [{ name: 'Transfer-Encoding', value: 'chunked' }] : []),
      ...(chunked || length === undefined ? [] : [{ name: 'Content-Length', value: String(length) }]),
    ],
    body: letters(length ?? 0),
  })
}

/** What a server without a program answers: a status and nothing else. */
export function emptyResponse(status: number): Uint8Array {
  const headers = status === 204 || status === 304 ? [] : [{ name: 'Content-Length', value: '0' }]
  const body = new Uint8Array(0)
  return writeHttp({
    kind: 'response',
    version: 'HTTP/1.1',
    status,
    reason: reasonPhrase(status),
    headers,
    body,
  })
}

/** The identifier of the nth query of a flow: made of its name. */
export function queryId(label: string, number: number): number {
  return (textHash(`${label} ${number}`) >>> 8) & 0xffff
}

/** The nth query of a flow. */
export function queryBytes(label: string, number: number, { name, type }: Operation<'query'>): Uint8Array {
  return writeDns({
    id: queryId(label, number),
    isResponse: false,
    recursionDesired: true,
    recursionAvailable: false,
    code: 0,
    name,
    type: dnsType[type],
    answers: [],
  })
}
