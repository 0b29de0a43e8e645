import { expect, test } from 'vitest'
import { httpDate, pathOf, readHttp, readHttpHead, writeHttp } from './http.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('a request is read and written again', () => {
  const text = 'POST /a?b=1 HTTP/1.1\r\nHost: api\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nhi'
  const read = readHttp(bytes(`${text}GET`))
  expect(read).toMatchObject({ length: text.length, message: { method: 'POST', target: '/a?b=1' } })
  if (typeof read === 'string') throw new Error(read)
  const { message } = read
  expect(message.headers).toEqual([
    { name: 'Host', value: 'api' },
    { name: 'X-Empty', value: '' },
    { name: 'Content-Length', value: '2' },
  ])
  expect(new TextDecoder().decode(writeHttp(message))).toBe(text.replace('X-Empty:', 'X-Empty: '))
})

test('a message is whole when its body is', () => {
  expect(readHttp(bytes('GET / HTTP/1.1\r\nHost: a\r\n'))).toBe('incomplete')
  expect(readHttp(bytes('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab'))).toBe('incomplete')
  expect(readHttp(bytes('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'), 'HEAD')).toMatchObject({
    message: { status: 200, reason: 'OK' },
  })
  expect(readHttp(bytes('HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n'))).toMatchObject({
    message: { status: 204 },
  })
})

test.each([
  'GET /\r\n\r\n',
  'GET / HTTP/2\r\n\r\n',
  'GET / HTTP/1.1\r\nno header\r\n\r\n',
  'GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n',
  'GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n',
  'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
  'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n',
  'HTTP/1.1 999 Odd\r\n\r\n',
])('%j is malformed', (text) => {
  expect(readHttp(bytes(text))).toBe('malformed')
})

test('the head of a packet is enough for its fields', () => {
  const head = readHttpHead(bytes('HTTP/1.1 403 Forbidden\r\ncontent-length: 15\r\n\r\n'))
  expect(head).toMatchObject({ kind: 'response', status: 403, reason: 'Forbidden' })
  expect(readHttpHead(bytes('\x16\x03\x01'))).toBeUndefined()
})

test.each([
  ['/public/a?x=1', '/public/a'],
  ['http://api/public', '/public'],
  ['http://api', '/'],
])('the path of %s', (target, path) => {
  expect(pathOf(target)).toBe(path)
})

test.each([
  [0, 'Thu, 01 Jan 1970 00:00:00 GMT'],
  [784_111_777, 'Sun, 06 Nov 1994 08:49:37 GMT'],
  [951_782_399, 'Mon, 28 Feb 2000 23:59:59 GMT'],
  [951_782_400, 'Tue, 29 Feb 2000 00:00:00 GMT'],
  [1_709_251_199, 'Thu, 29 Feb 2024 23:59:59 GMT'],
  [4_107_542_400, 'Mon, 01 Mar 2100 00:00:00 GMT'],
])('the date of %d seconds', (seconds, text) => {
  expect(httpDate(seconds * 1e9)).toBe(text)
})

test('a body in chunks, with an extension and a trailer', () => {
  const head = 'POST /a HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n'
  const text = `${head}4;x=1\r\nwiki\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n`
  const read = readHttp(bytes(`${text}GET`))
  if (typeof read === 'string') throw new Error(read)
  expect(read.length).toBe(text.length)
  expect(new TextDecoder().decode(read.message.body)).toBe('wiki0123456789')
  for (let length = head.length; length < text.length; length += 1)
    expect(readHttp(bytes(text.slice(0, length)))).toBe('incomplete')
  expect(new TextDecoder().decode(writeHttp(read.message))).toBe(`${head}e\r\nwiki0123456789\r\n0\r\n\r\n`)
})
