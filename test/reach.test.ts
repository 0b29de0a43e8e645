// Who reaches whom: whatever attempts share of a world, a table says what it says when each has one of its own.
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { load } from '../src/cli/load.ts'
import type { CaseModel } from '../src/model/model.ts'
import { simulate } from '../src/run/simulate.ts'
import type { Trace } from '../src/trace/event.ts'
import { traceFromJson, traceToJson } from '../src/trace/json.ts'
import { traceSchema } from '../src/trace/trace-schema.ts'
import { workplace } from './support/command.ts'

/** Two nodes, policies in both directions, a proxy, hosts that answer nothing, a port that nobody listens on. */
const world = `scn 1

doc "Attempts of all kinds."

topology {
  cluster cilium VERSION
  net lan 192.168.5.0/24
  node n1 { dev eth0 on lan 192.168.5.11 }
  node n2 { dev eth0 on lan 192.168.5.12; listen tcp 80 }
  pod client on n1 10.0.1.10 labels app=client
  pod mute on n2 10.0.2.10 labels app=mute { listen udp 53 mute }
  pod web on n1 10.0.1.20 labels app=web { listen tcp 80; listen udp 53 echo }
  external world on lan 192.168.5.130 { listen tcp 80; listen udp 53 discard }
  policy web on app=web { ingress allow from app=client; egress allow to world tcp 80 }
}

scenario s "s" {
  reach tcp 80, udp 53, icmp from client mute web world to all
}
`

function caseOf(text: string): CaseModel {
  const place = workplace({ 'a.scn': text })
  const loaded = load(place.folder, 'a.scn')
  place.remove()
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'))
  return loaded.value.scenarios[0]!.cases[0]!
}

/** The same case with hosts that say something of rules: none, but what counts is not asked. */
function apart(model: CaseModel): CaseModel {
  const namespaces = model.world.namespaces.map((each) => ({ rulesets: [], ...each }))
  return { ...model, world: { ...model.world, namespaces } }
}

const traceOf = (model: CaseModel): Trace => simulate(model, { seed: 1, scenario: 's', full: false }).trace

describe.each(['1.10', '1.19'])('Cilium %s', (version) => {
  const model = caseOf(world.replace('VERSION', version))

  test('what attempts share makes no difference', { timeout: 120_000 }, () => {
    const shared = traceOf(model).steps?.[0]?.reached
    expect(shared).toHaveLength(model.steps[0]?.kind === 'reach' ? model.steps[0].probes.length : 0)
    expect(traceOf(apart(model)).steps?.[0]?.reached).toEqual(shared)
    const kinds = new Set(shared?.map(({ verdict }) => verdict))
    expect([...kinds].sort()).toEqual(
      expect.arrayContaining([
        'answered',
        'connected',
        'denied egress',
        'denied ingress',
        'refused',
        'unanswered',
      ]),
    )
  })

  test('nothing is left behind', () => {
    const [after, without] = [traceOf(model), traceOf({ ...model, steps: [] })]
    expect([after.packets, after.state, after.bindings]).toEqual([[], without.state, without.bindings])
  })

  test('as JSON it fits the schema, and comes back', () => {
    const trace = traceOf(model)
    const json = JSON.parse(JSON.stringify(traceToJson(trace)))
    const fits = new Ajv({ strict: true }).compile(traceSchema)
    expect(fits(json) ? [] : fits.errors).toEqual([])
    expect(traceFromJson(json).steps).toEqual(trace.steps)
  })
})
