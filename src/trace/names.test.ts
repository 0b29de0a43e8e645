import { expect, test } from 'vitest'
import { parseIp } from '../net/address.ts'
import { namesOf } from './names.ts'

const bindings = [
  { name: 'web', addresses: ['10.0.2.20', 'fd00::20', '10.0.2.21'], remarks: ['identity 7781'] },
  { name: 'svc/web', addresses: ['10.96.0.1'], remarks: [] },
  { name: 'other', addresses: ['10.0.2.20'], remarks: ['identity 7781'] },
]

const address = (text: string) => parseIp(text)!

test.each([
  ['10.0.2.20', 80, 'web:80'],
  ['10.0.2.20', -1, 'web'],
  ['10.96.0.1', 80, 'svc/web:80'],
  ['10.0.2.21', 80, '10.0.2.21:80'],
  ['10.9.9.9', 80, '10.9.9.9:80'],
  ['fd00::20', 80, 'web:80'],
  ['fd00:0:0::20', -1, 'web'],
  ['fd00::21', 80, '[fd00::21]:80'],
  ['fd00::21', -1, 'fd00::21'],
] as const)('%s port %s is %s', (text, port, expected) => {
  expect(namesOf({ bindings }).endpoint(address(text), port)).toBe(expected)
})

test.each([
  ['10.0.2.20:80 > 10.96.0.1:443', 'web:80 > svc/web:443'],
  ['via 10.0.2.20', 'via web'],
  ['[fd00::20]:80', 'web:80'],
  ['[fd00::21]:80', '[fd00::21]:80'],
  ['fd00::20 dev eth0', 'web dev eth0'],
  ['10.0.2.20/32 and 10.0.2.200', '10.0.2.20/32 and 10.0.2.200'],
  ['02:00:00:00:00:20', '02:00:00:00:00:20'],
  ['1.10.0.2.20', '1.10.0.2.20'],
  ['tcp/5000 10.0.2.20:5000 eth0:5001', 'tcp/$p1 web:$p1 eth0:5001'],
  ['id 5000 seq 5000', 'id $i1 seq 5000'],
])('in a text, %s is %s', (text, expected) => {
  const unstable = [
    { kind: 'port', value: 5000 },
    { kind: 'identifier', value: 5000 },
  ] as const
  expect(namesOf({ bindings, unstable }).rename(text)).toBe(expected)
})

test('the first binding of an address and of an identity wins, and only used names are bound', () => {
  const names = namesOf({ bindings })
  expect(names.used()).toEqual([])
  expect(names.identity(7781)).toBe('web')
  expect(names.identity(1)).toBe('1')
  expect(names.used().map(({ name }) => name)).toEqual(['web'])
})

test('variables are numbered in the order in which they are seen', () => {
  const unstable = [40000, 40001].map((value) => ({ kind: 'port' as const, value }))
  const names = namesOf({ bindings, unstable })
  expect([40001, 80, 40000, 40001].map((port) => names.number('port', port))).toEqual([
    '$p1',
    '80',
    '$p2',
    '$p1',
  ])
})
