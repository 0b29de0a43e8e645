import { expect, test } from 'vitest'
import type { HttpRule } from '../agent/policy/l4.ts'
import type { Redirect } from '../agent/policy/resolve.ts'
import { allowRequest, type RequestFacts } from './http-policy.ts'

function redirect(http: readonly HttpRule[], identities?: readonly number[]): Redirect {
  const rules = [{ identities, http, dns: [] }]
  return {
    ingress: true,
    port: 80,
    endPort: 0,
    protocol: 6,
    parser: 'http',
    listener: '',
    proxyPort: 10_000,
    rules,
  }
}

const request: RequestFacts = {
  method: 'GET',
  path: '/public/a?x=1',
  host: 'api.example.com',
  headers: [{ name: 'x-token', value: 'one two' }],
}

test.each<[string, HttpRule, boolean]>([
  ['nothing', {}, true],
  ['a method', { method: 'GET' }, true],
  ['one of several methods', { method: 'GET|HEAD' }, true],
  ['a part of a method', { method: 'GE' }, false],
  ['a path, which has its query', { path: '/public/.*' }, true],
  ['a path without its query', { path: '/public/a' }, false],
  ['a host', { host: '.*\\.example\\.com' }, true],
  ['another host', { host: 'example\\.com' }, false],
  ['a header that is there', { headers: ['X-Token'] }, true],
  ['a header with its value', { headers: ['X-Token: one two'] }, true],
  ['a header without the colon', { headers: ['x-token one two'] }, true],
  ['a header with another value', { headers: ['X-Token: one'] }, false],
  ['a header that is not there', { headers: ['X-Other'] }, false],
  ['a header match', { headerMatches: [{ name: 'X-Token', value: 'one two' }] }, true],
  ['a header match with another value', { headerMatches: [{ name: 'X-Token', value: 'x' }] }, false],
  ['all of them', { method: 'GET', path: '/.*', headers: ['X-Token'] }, true],
  ['all of them but one', { method: 'POST', path: '/.*', headers: ['X-Token'] }, false],
])('a rule of %s', (_, rule, allowed) => {
  expect(allowRequest([redirect([rule])], 300, request) !== undefined).toBe(allowed)
})

test('rules are for their peers, and peers without rules may ask for everything', () => {
  const only = redirect([{ method: 'POST' }], [300])
  expect(allowRequest([only], 300, request)).toBeUndefined()
  expect(allowRequest([only], 301, request)).toBeUndefined()
  expect(allowRequest([only, redirect([], [301])], 301, request)).toBe(request.headers)
})

test.each<[NonNullable<HttpRule['headerMatches']>[number], readonly (readonly [string, string])[]]>([
  [{ name: 'X-Token', value: 'x', mismatch: 'LOG' }, [['x-token', 'one two']]],
  [
    { name: 'X-New', value: 'x', mismatch: 'ADD' },
    [
      ['x-token', 'one two'],
      ['x-new', 'x'],
    ],
  ],
  [{ name: 'X-Token', value: 'x', mismatch: 'DELETE' }, []],
  [{ name: 'X-Token', value: 'x', mismatch: 'REPLACE' }, [['x-token', 'x']]],
  [{ name: 'X-Token', value: 'one two', mismatch: 'DELETE' }, [['x-token', 'one two']]],
  [{ name: 'X-Token', mismatch: 'DELETE' }, [['x-token', 'one two']]],
  [
    { name: 'X-New', value: 'x', mismatch: 'REPLACE' },
    [
      ['x-token', 'one two'],
      ['x-new', 'x'],
    ],
  ],
])('a mismatch of %j mends the request', (match, headers) => {
  const allowed = allowRequest([redirect([{ headerMatches: [match] }])], 300, request)
  expect(allowed?.map(({ name, value }) => [name, value])).toEqual(headers)
})

test('several headers of one name are one value; the first takes the place of all that is replaced', () => {
  const twice = { ...request, headers: ['a', 'b'].map((value) => ({ name: 'x-token', value })) }
  expect(allowRequest([redirect([{ headers: ['X-Token: a'] }])], 300, twice)).toBeUndefined()
  expect(allowRequest([redirect([{ headers: ['X-Token: a,b'] }])], 300, twice)).toBeDefined()
  const replaced = redirect([{ headerMatches: [{ name: 'X-Token', value: 'c', mismatch: 'REPLACE' }] }])
  expect(allowRequest([replaced], 300, twice)?.map(({ value }) => value)).toEqual(['c', 'b'])
})

test('where a rule mends headers all rules are looked at, with what those before have left', () => {
  const add = (name: string, method: string): HttpRule => ({
    method,
    headerMatches: [{ name, value: '1', mismatch: 'ADD' }],
  })
  const rules = redirect([{ method: 'GET' }, add('x-one', 'GET'), add('x-other', 'POST')])
  const other = redirect([
    { headers: ['x-one: 1'], headerMatches: [{ name: 'x-two', value: '1', mismatch: 'ADD' }] },
  ])
  const names = allowRequest([rules, other], 300, request)?.map(({ name }) => name)
  expect(names).toEqual(['x-token', 'x-one', 'x-two'])
})
