import { describe, expect, test } from 'vitest'
import type { AgentConfig } from '../agent/config.ts'
import { proxyDialects } from './dialect.ts'
import { filteredResponse, localReply, sentResponse } from './http-headers.ts'

describe('whose address an egress proxy has towards a server', () => {
  const config = (routing: AgentConfig['routing']) => ({ routing }) as AgentConfig
  test.each([
    ['1.10', 'tunnel', false, 1000, false],
    ['1.10', 'native', false, 1000, true],
    ['1.10', 'native', true, 1000, false],
    ['1.10', 'native', false, 2, false],
    ['1.19', 'tunnel', false, 1000, true],
    ['1.19', 'native', true, 1000, false],
  ] as const)(
    '%s, %s routing, on this node: %s, identity %d: %s',
    (version, routing, local, identity, keeps) => {
      const target = { local, destinationIdentity: identity }
      expect(proxyDialects[version].keepsSource(config(routing), target)).toBe(keeps)
    },
  )
})

describe('headers of responses', () => {
  const text = (headers: readonly { readonly name: string; readonly value: string }[]) =>
    headers.map(({ name, value }) => `${name}: ${value}`)
  test('an answer of its own is dated when it leaves', () => {
    const reply = localReply(403, 'Access denied\r\n')
    expect(text(reply.headers)).toEqual(['content-length: 15', 'content-type: text/plain'])
    expect(text(sentResponse(reply, 0).headers)).toEqual([
      'content-length: 15',
      'content-type: text/plain',
      'date: Thu, 01 Jan 1970 00:00:00 GMT',
      'server: envoy',
    ])
    expect(text(sentResponse(localReply(400, ''), 0).headers).at(-1)).toBe('content-length: 0')
  })
  test('a filter still sees who the server was', () => {
    const response = {
      ...localReply(200, ''),
      headers: [
        { name: 'Server', value: 'scn' },
        { name: 'Connection', value: 'keep-alive' },
      ],
    }
    const seen = filteredResponse(response, 2_500_000)
    expect(text(seen.headers)).toEqual(['server: scn', 'x-envoy-upstream-service-time: 2'])
    expect(text(sentResponse(seen, 0).headers)).toEqual([
      'server: envoy',
      'x-envoy-upstream-service-time: 2',
      'date: Thu, 01 Jan 1970 00:00:00 GMT',
    ])
  })
})
