import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allowPrecedence, denyPrecedence, type PolicyMapEntry, redirectPrecedence } from './map-entry.ts'
import { allowEntry, lookupPolicy, MapState } from './map-state.ts'

const tcp = 6

function entry(parts: Partial<PolicyMapEntry>): PolicyMapEntry {
  const deny = parts.deny ?? false
  const base = { ...allowEntry(false, 0, 'test'), precedence: deny ? denyPrecedence : allowPrecedence }
  return { ...base, ...parts }
}

const port = (number: number, length = 16) => ({ protocol: tcp, port: number, portLength: length })
const features = { precedence: true, auth: false }

function state(...entries: readonly PolicyMapEntry[]): readonly string[] {
  const made = new MapState()
  for (const each of entries) made.insert(each, features)
  return made
    .entries()
    .map(
      ({ identity, port: at, portLength, deny, proxyPort }) =>
        `${identity}:${at}/${portLength}${deny ? ' deny' : ''}${proxyPort > 0 ? ` ->${proxyPort}` : ''}`,
    )
}

describe('precedence bytes', () => {
  test('deny 255, redirects 129 to 254, a redirect without priority 2, allow 1', () => {
    expect(denyPrecedence & 0xff).toBe(255)
    expect(redirectPrecedence(1) & 0xff).toBe(254)
    expect(redirectPrecedence(101) & 0xff).toBe(154)
    expect(redirectPrecedence(126) & 0xff).toBe(129)
    expect(redirectPrecedence(0) & 0xff).toBe(2)
    expect(allowPrecedence).toBe(0xffff_ff01)
  })
})

describe('dominated keys are not written', () => {
  test('a denial of everything takes all else away, in either order', () => {
    const all = entry({ deny: true })
    const one = entry({ identity: 7, ...port(80) })
    expect(state(all, one)).toEqual(['0:0/0 deny'])
    expect(state(one, all)).toEqual(['0:0/0 deny'])
  })
  test('a denial of an identity leaves others’ ports', () => {
    expect(
      state(entry({ identity: 7, deny: true }), entry({ ...port(80) }), entry({ identity: 7, ...port(80) })),
    ).toEqual(['7:0/0 deny', '0:80/16'])
  })
  test('a redirect of a range hides plain ports inside, not around', () => {
    const redirect = entry({ ...port(80, 14), proxyPort: 10001, precedence: redirectPrecedence(101) })
    expect(state(redirect, entry({ identity: 7, ...port(81) }), entry({ identity: 7, ...port(84) }))).toEqual(
      ['0:80/14 ->10001', '7:84/16'],
    )
  })
  test('of two redirects of a key the higher listener priority stays', () => {
    const low = entry({ ...port(80), proxyPort: 1, precedence: redirectPrecedence(101) })
    const high = entry({ ...port(80), proxyPort: 2, precedence: redirectPrecedence(1) })
    expect(state(low, high)).toEqual(['0:80/16 ->2'])
    expect(state(high, low)).toEqual(['0:80/16 ->2'])
  })
})

test('the order of insertion never matters, and lookups find the highest precedence that covers', () => {
  const identity = fc.constantFrom(0, 7, 8)
  const l4 = fc.constantFrom(
    { protocol: 0, port: 0, portLength: 0 },
    { protocol: tcp, port: 0, portLength: 0 },
    port(80),
    port(80, 14),
    port(81),
  )
  const kind = fc.constantFrom(
    { deny: true, precedence: denyPrecedence },
    {},
    { proxyPort: 9, precedence: redirectPrecedence(101) },
  )
  const any = fc.tuple(identity, l4, kind).map(([id, key, rest]) => entry({ identity: id, ...key, ...rest }))
  fc.assert(
    fc.property(fc.array(any, { maxLength: 7 }), fc.nat(), (entries, turn) => {
      const turned = [...entries.slice(turn % 7), ...entries.slice(0, turn % 7)]
      expect(state(...turned)).toEqual(state(...entries))
      const made = new MapState()
      for (const each of entries) made.insert(each, features)
      for (const id of [7, 8, 9]) {
        for (const at of [80, 81, 90]) {
          const covering = entries.filter(
            (each) =>
              (each.identity === 0 || each.identity === id) &&
              (each.protocol === 0 || (at ^ each.port) >>> (16 - each.portLength) === 0),
          )
          const best = Math.max(0, ...covering.map(({ precedence }) => precedence))
          const found = lookupPolicy(made.entries(), { identity: id, egress: false, protocol: tcp, port: at })
          expect(found?.precedence ?? 0).toBe(best)
        }
      }
    }),
  )
})
