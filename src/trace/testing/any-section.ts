// Random sections for laws: few words, so that packets resemble each other and references are written.
import fc from 'fast-check'
import { type Hook, hookLine, type PacketSection, type Section } from '../section.ts'

const effect = fc.constantFrom(
  'ct new egress',
  'ct new service',
  'ct established egress',
  'policy allow',
  'dsr learn n1:80',
  'dnat a:1 -> b:2',
  'ttl 64 -> 63',
  'monitor from-endpoint to-overlay',
  'tail cil_lxc_policy lxc-a',
)

const anyHook: fc.Arbitrary<Hook> = fc
  .tuple(
    fc.constantFrom('n1', 'n2'),
    fc.constantFrom('eth0 tc-in', 'eth0 tx', 'a-very-long-device-name tc-out', 'route'),
    fc.constantFrom('', 'kernel', 'prog'),
    fc.constantFrom('', 'OK', 'DROP OTHERHOST'),
    fc.array(effect, { maxLength: 5 }),
  )
  .map(([node, place, actor, decision, effects]) => ({
    node,
    line: hookLine(place, actor, decision),
    effects,
  }))

const fewWays = fc.array(anyHook, { maxLength: 4 })

/** Steps, and packets of which many go the way of an earlier one with other effects. */
const anyPackets: fc.Arbitrary<readonly PacketSection[]> = fc
  .array(
    fc.tuple(
      fewWays,
      fc.array(fc.array(effect, { maxLength: 5 }), { maxLength: 4 }),
      fc.boolean(),
      fc.boolean(),
    ),
    {
      maxLength: 5,
    },
  )
  .map((drafts) => {
    const packets: PacketSection[] = []
    for (const [own, effects, same, isStep] of drafts) {
      const way = same ? (packets[0]?.hooks ?? own) : own
      const hooks = way.map((hook, index) => ({ ...hook, effects: effects[index] ?? hook.effects }))
      if (isStep) packets.push({ name: `add pod p${packets.length}`, step: true, summary: '', hooks })
      else packets.push({ name: `p${packets.length}`, summary: 'tcp a:1 > b:2 S ttl 64', hooks })
    }
    return packets
  })

const plainLines = fc
  .array(fc.constantFrom('a 10.0.0.1', 'b fd00::1 identity 7', 'p1 delivered a'), { maxLength: 3 })
  .map((texts) => texts.map((text) => ({ text, row: 0 })))

/** A section that a run could have made. */
export const anySection: fc.Arbitrary<Section> = fc.record({
  scenario: fc.constant('s'),
  level: fc.constantFrom('minimal', 'hops', 'full'),
  where: plainLines,
  outcomes: plainLines,
  packets: anyPackets,
  state: fc
    .array(plainLines, { maxLength: 2 })
    .map((lists) => lists.map((lines, index) => ({ node: `n${index}`, lines }))),
})
