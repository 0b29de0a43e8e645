// HTTP/1.1 messages as bytes (RFC 9112). Reads whole messages whose length is told by Content-Length or by chunks, or that have no
// body; other transfer codings are not modelled and count as malformed, and trailers behind the last chunk are forgotten.
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
  /** It has no body whatever its headers say: not even a last chunk. */
  readonly bodiless?: boolean
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

/** Whether a message says that its body comes in chunks. */
export function isChunked({ headers }: Pick<HttpMessage, 'headers'>): boolean {
  return headerOf(headers, 'transfer-encoding')?.toLowerCase() === 'chunked'
}

/** How a body ends: after so many bytes, or with the last chunk. Answers to HEAD, 1xx, 204 and 304 have none (RFC 9112 section 6.3). */
function framing(head: Head, to: string | undefined): number | 'chunked' | undefined {
  if (head.kind === 'response') {
    const { status } = head
    if (to === 'HEAD' || status < 200 || status === 204 || status === 304) return 0
  }
  const length = headerOf(head.headers, 'content-length')
  if (headerOf(head.headers, 'transfer-encoding') !== undefined) {
    const fits = isChunked(head) && length === undefined && head.version === 'HTTP/1.1'
    return fits ? 'chunked' : undefined
  }
  if (length === undefined) return 0
  return /^[0-9]+$/.test(length) ? Number(length) : undefined
}

/** Where the line that starts at `at` ends, before its CR LF; -1 while it has none. */
function lineEnd(bytes: Uint8Array, at: number): number {
  for (let end = at; end + 1 < bytes.length; end += 1)
    if (bytes[end] === 13 && bytes[end + 1] === 10) return end
  return -1
}

/** A body of chunks from `start` on (RFC 9112 section 7.1): its bytes, and where it ends. */
function readChunks(
  bytes: Uint8Array,
  start: number,
): { readonly body: Uint8Array; readonly end: number } | 'incomplete' | 'malformed' {
  const pieces: Uint8Array[] = []
  let at = start
  for (;;) {
    const end = lineEnd(bytes, at)
    if (end < 0) return 'incomplete'
    const [, digits] = /^([0-9a-f]{1,8})(?:[ \t]*;.*)?$/i.exec(decoder.decode(bytes.subarray(at, end))) ?? []
    if (digits === undefined) return 'malformed'
    const size = Number.parseInt(digits, 16)
    at = end + 2
    if (size === 0) break
    if (bytes.length < at + size + 2) return 'incomplete'
    if (bytes[at + size] !== 13 || bytes[at + size + 1] !== 10) return 'malformed'
    pieces.push(bytes.slice(at, at + size))
    at += size + 2
  }
  for (;;) {
    const end = lineEnd(bytes, at)
    if (end < 0) return 'incomplete'
    if (end === at) return { body: concatBytes(pieces), end: end + 2 }
    at = end + 2
  }
}

/** What stands at the start of a stream: a message and its length, or why there is none yet. */
export type HttpRead = { readonly message: HttpMessage; readonly length: number } | 'incomplete' | 'malformed'

/** Reads the first message of a stream. `to` is the method that a response answers. */
export function readHttp(bytes: Uint8Array, to?: string): HttpRead {
  const end = headEnd(bytes)
  if (end < 0) return bytes.length > 65_536 ? 'malformed' : 'incomplete'
  const head = readHead(decoder.decode(bytes.subarray(0, end)))
  const frame = head === undefined ? undefined : framing(head, to)
  if (head === undefined || frame === undefined) return 'malformed'
  const start = end + 4
  if (frame === 'chunked') {
    const read = readChunks(bytes, start)
    return typeof read === 'string' ? read : { message: { ...head, body: read.body }, length: read.end }
  }
  if (bytes.length < start + frame) return 'incomplete'
  const body = bytes.slice(start, start + frame)
  const bodiless = head.kind === 'response' && isChunked(head)
  return {
    message: bodiless ? { ...head, body, bodiless } : { ...head, body },
    length: start + frame,
  }
}

/** First line and headers of the message that a packet's payload starts with; undefined when it starts with none. */
export function readHttpHead(bytes: Uint8Array): Head | undefined {
  const end = headEnd(bytes)
  return end < 0 ? undefined : readHead(decoder.decode(bytes.subarray(0, end)))
}

/** A body as one chunk and the last one. */
function chunksOf(body: Uint8Array): readonly Uint8Array[] {
  const last = encoder.encode('0\r\n\r\n')
  if (body.length === 0) return [last]
  return [encoder.encode(`${body.length.toString(16)}\r\n`), body, encoder.encode('\r\n'), last]
}

/** A message as bytes, its headers as they are given; a body that comes in chunks is one. */
export function writeHttp(message: HttpMessage): Uint8Array {
  const inChunks = isChunked(message) && !(message.kind === 'response' && message.bodiless === true)
  const first =
    message.kind === 'request'
      ? `${message.method} ${message.target} ${message.version}`
      : `${message.version} ${message.status} ${message.reason}`
  const lines = message.headers.map(({ name, value }) => `${name}: ${value}\r\n`)
  const head = encoder.encode(`${first}\r\n${lines.join('')}\r\n`)
  return concatBytes([head, ...(inChunks ? chunksOf(message.body) : [message.body])])
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
