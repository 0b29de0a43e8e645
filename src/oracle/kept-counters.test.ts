import { describe, expect, test } from 'vitest'
import { changedTables } from './kept-counters.ts'

const filter = (first: string): string =>
  `*filter\n:FORWARD ACCEPT ${first}\n${first} -A FORWARD -j LOG\nCOMMIT`
const natNow = [
  '*nat',
  ':POSTROUTING ACCEPT [7:420]',
  ':OWN - [0:0]',
  '[2:120] -A POSTROUTING -j OWN',
  '[3:180] -A OWN -j MASQUERADE',
  '[4:240] -A OWN -j MASQUERADE',
  'COMMIT',
].join('\n')

describe('the text for iptables-restore -c', () => {
  test('a table that stays as it is is left alone', () => {
    const wanted = '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j LOG\nCOMMIT'
    expect(changedTables(wanted, filter('[5:300]'))).toBeUndefined()
  })

  test('rules that stay keep their counters one by one, new ones begin, policies begin anew', () => {
    const wanted = [
      '*nat',
      ':POSTROUTING ACCEPT [0:0]',
      ':OWN - [0:0]',
      '-A POSTROUTING -j LOG',
      '-A POSTROUTING -j OWN',
      '-A OWN -j MASQUERADE',
      '-A OWN -j MASQUERADE',
      'COMMIT',
    ].join('\n')
    expect(changedTables(wanted, `${filter('[5:300]')}\n${natNow}`)).toBe(
      [
        '*nat',
        ':POSTROUTING ACCEPT [0:0]',
        ':OWN - [0:0]',
        '[0:0] -A POSTROUTING -j LOG',
        '[2:120] -A POSTROUTING -j OWN',
        '[3:180] -A OWN -j MASQUERADE',
        '[4:240] -A OWN -j MASQUERADE',
        'COMMIT',
        '',
      ].join('\n'),
    )
  })

  test('rules of another table lend nothing', () => {
    const wanted = '*raw\n:PREROUTING ACCEPT [0:0]\n-A OWN -j MASQUERADE\nCOMMIT'
    expect(changedTables(wanted, natNow)).toContain('[0:0] -A OWN -j MASQUERADE')
  })
})
