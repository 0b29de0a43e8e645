// HTTP/1.1 messages as bytes (RFC 9112). Reads whole messages whose length is told by Content-Length, or that have no body;
// transfer codings (chunked) are not modelled and count as malformed.
import { momentOf, twoDigits } from '../base/calendar.ts'
import { concatBytes } from './bytes.ts'

// as `encoder`, so that a proxy passes on what a file writes in its own letters
const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** A header line. Names are compared without case. */
export interface HttpHeader {
  readonly name: string
  readonly value: string
}

export interface HttpRequest {
  readonly kind: 'request'
  readonly method: string
  /** The request target as sent: `/public/a?x=1`. */
  readonly target: string
  /** `HTTP/1.1`. */
  readonly version: string
  readonly headers: readonly HttpHeader[]
  readonly body: Uint8Array
}

export interface HttpResponse {
  readonly kind: 'response'
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly headers: readonly HttpHeader[]
  readonly body: Uint8Array
}

export type HttpMessage = HttpRequest | HttpResponse

/** Reason phrases of RFC 9110 section 15, and 429 of RFC 6585; others get none. */
const reasons: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Entity',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

/** `Forbidden` for 403. */
export function reasonPhrase(status: number): string {
  return reasons[status] ?? ''
}

/** The value of a header, the first of several; undefined where there is none. */
export function headerOf(headers: readonly HttpHeader[], name: string): string | undefined {
  const wanted = name.toLowerCase()
  return headers.find((each) => each.name.toLowerCase() === wanted)?.value
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const requestLine = new RegExp(`^(${token}) (\\S+) (HTTP/1\\.[01])$`)
const statusLine = /^(HTTP\/1\.[01]) ([1-5][0-9][0-9])(?: (.*))?$/
const headerLine = new RegExp(`^(${token}):[ \\t]*(.*?)[ \\t]*$`)

type Head = Omit<HttpRequest, 'body'> | Omit<HttpResponse, 'body'>

function readHeaders(lines: readonly string[]): readonly HttpHeader[] | undefined {
  const headers: HttpHeader[] = []
  for (const line of lines) {
    const [, name, value] = headerLine.exec(line) ?? []
    if (name === undefined || value === undefined) return undefined
    headers.push({ name, value })
  }
  return headers
}

/** The first line and the headers of a text that ends before the empty line. */
function readHead(text: string): Head | undefined {
  const [first = '', ...lines] = text.split('\r\n')
  const headers = readHeaders(lines)
  if (headers === undefined) return undefined
  const [, method, target, version] = requestLine.exec(first) ?? []
  if (method !== undefined && target !== undefined && version !== undefined)
    return { kind: 'request', method, target, version, headers }
  const [, responseVersion, status, reason = ''] = statusLine.exec(first) ?? []
  if (responseVersion === undefined) return undefined
  return { kind: 'response', version: responseVersion, status: Number(status), reason, headers }
}

/** Where the empty line behind the headers starts, or -1. */
function headEnd(bytes: Uint8Array): number {
  for (let at = 0; at + 3 < bytes.length; at += 1) {
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at
  }
  return -1
}

/** Answers to HEAD, 1xx, 204 and 304 have no body, whatever their headers say (RFC 9112 section 6.3). */
function bodyBytes(head: Head, to: string | undefined): number | undefined {
  if (headerOf(head.headers, 'transfer-encoding') !== undefined) return undefined
  if (head.kind === 'response') {
    const { status } = head
    if (to === 'HEAD' || status < 200 || status === 204 || status === 304) return 0
  }
  const length = headerOf(head.headers, 'content-length')
  if (length === undefined) return 0
  return /^[0-9]+$/.test(length) ? Number(length) : undefined
}

/** What stands at the start of a stream: a message and its length, or why there is none yet. */
export type HttpRead = { readonly message: HttpMessage; readonly length: number } | 'incomplete' | 'malformed'

/** Reads the first message of a stream. `to` is the method that a response answers. */
export function readHttp(bytes: Uint8Array, to?: string): HttpRead {
  const end = headEnd(bytes)
  if (end < 0) return bytes.length > 65_536 ? 'malformed' : 'incomplete'
  const head = readHead(decoder.decode(bytes.subarray(0, end)))
  const size = head === undefined ? undefined : bodyBytes(head, to)
  if (head === undefined || size === undefined) return 'malformed'
  const start = end + 4
  if (bytes.length < start + size) return 'incomplete'
  return { message: { ...head, body: bytes.slice(start, start + size) }, length: start + size }
}

/** First line and headers of the message that a packet's payload starts with; undefined when it starts with none. */
export function readHttpHead(bytes: Uint8Array): Head | undefined {
  const end = headEnd(bytes)
  return end < 0 ? undefined : readHead(decoder.decode(bytes.subarray(0, end)))
}

/** A message as bytes, its headers as they are given. */
export function writeHttp(message: HttpMessage): Uint8Array {
  const first =
    message.kind === 'request'
      ? `${message.method} ${message.target} ${message.version}`
      : `${message.version} ${message.status} ${message.reason}`
  const lines = message.headers.map(({ name, value }) => `${name}: ${value}\r\n`)
  const head = encoder.encode(`${first}\r\n${lines.join('')}\r\n`)
  return concatBytes([head, message.body])
}

/** `/public/a` of the target `/public/a?x=1` or `http://api/public/a`. */
export function pathOf(target: string): string {
  const path = target.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/[?#].*$/, '')
  return path === '' ? '/' : path
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `Thu, 01 Jan 1970 00:00:00 GMT` (RFC 9110 section 5.6.7) of nanoseconds since 1970. */
export function httpDate(nanoseconds: number): string {
  const { year, month, date, weekday, clock } = momentOf(Math.floor(nanoseconds / 1e9))
  return `${days[weekday]}, ${twoDigits(date)} ${months[month]} ${year} ${clock} GMT`
}
