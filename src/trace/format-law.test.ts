import fc from 'fast-check'
import { expect, test } from 'vitest'
import { diffSections } from './diff.ts'
import type { Fact, HookEvent, Level, Snapshot } from './event.ts'
import { formatTrace } from './format.ts'
import { parseGolden } from './golden.ts'
import { sectionOf } from './section-of.ts'
import { hook, packet, snapshot, tcpBytes, trace, udpBytes } from './testing/hand-made.ts'

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/)

/** A few packets that resemble each other, some cut off or overwritten. */
const anySnapshot: fc.Arbitrary<Snapshot> = fc
  .tuple(
    fc.constantFrom(
      tcpBytes(),
      tcpBytes({ ttl: 63 }),
      tcpBytes({ dport: 8080 }),
      udpBytes({ payload: Uint8Array.of(1) }),
    ),
    fc.option(fc.tuple(fc.nat(60), fc.nat(255))),
    fc.option(fc.nat(54)),
    fc.constantFrom(-1, 5),
  )
  .map(([bytes, poke, cut, vlanTci]) => {
    const copy = cut === null ? bytes.slice() : bytes.slice(0, cut)
    if (poke !== null && poke[0] < copy.length) copy[poke[0]] = poke[1]
    return snapshot(copy, { vlanTci })
  })

const anyFact: fc.Arbitrary<Fact> = fc.oneof(
  fc.record({ kind: fc.constant('drop' as const), reason: word }),
  fc.record({ kind: fc.constant('fib' as const), device: word }),
  fc.record({ kind: fc.constant('tracepoint' as const), name: word }),
  fc.record({ kind: fc.constant('kernel' as const), word, text: word }),
  fc.record({ kind: fc.constant('record' as const), map: word, bytes: fc.uint8Array({ maxLength: 4 }) }),
)

const anyEvent: fc.Arbitrary<HookEvent> = fc
  .record({
    place: fc.constantFrom(
      'a/eth0 rx',
      'a/eth0 tc-in',
      'a/ route',
      'b/eth0 rx',
      'b/eth0 qdisc',
      'b/eth0 decap',
    ),
    before: anySnapshot,
    after: fc.option(anySnapshot),
    actor: fc.constantFrom('', 'kernel', 'prog'),
    code: fc.option(fc.constantFrom('OK', 'DROP', 'REDIRECT')),
    facts: fc.array(anyFact, { maxLength: 3 }),
  })
  .map(({ place, before, after, actor, code, facts }) =>
    hook(place, before, {
      actor,
      facts,
      after: after ?? before,
      ...(code === null ? {} : { decision: { code } }),
    }),
  )

test('law: whatever happened, the text keeps the rules of the format and is read back as the same section', () => {
  const events = fc.array(anyEvent, { maxLength: 6 })
  const level = fc.constantFrom<Level>('minimal', 'hops', 'full')
  fc.assert(
    fc.property(fc.array(events, { maxLength: 4 }), level, (ways, shown) => {
      const value = trace(ways.map((way, index) => packet(`p${index}`, way)))
      const text = formatTrace(value, { level: shown })
      expect(text).toMatch(/^scn-trace 1 (minimal|hops|full)\n\nscenario codes\n/)
      expect(text.endsWith('\n') && !text.endsWith('\n\n')).toBe(true)
      expect(text.split('\n').filter((line) => /^[-+<>=]|\s$/.test(line))).toEqual([])
      const golden = parseGolden({ name: 'law', text })
      expect(golden.diagnostics).toEqual([])
      const [read] = golden.sections
      expect(diffSections(read!.section, sectionOf(value, { level: shown })).differences).toEqual([])
      expect(formatTrace(value, { level: shown })).toBe(text)
    }),
  )
})
