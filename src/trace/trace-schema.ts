// The JSON Schema (draft-07) of a trace, as `scn trace --as json` writes it. Unknown properties are mistakes, so that a
// consumer learns of a change; numbers that may grow (stages, kinds of facts) are listed in full.

import type { Stage } from './event.ts'

const text = { type: 'string' } as const
const count = { type: 'integer', minimum: 0 } as const
const hex = { type: 'string', pattern: '^([0-9a-f]{2})*$' } as const

function list<T>(items: T): { readonly type: 'array'; readonly items: T } {
  return { type: 'array', items }
}

function record<P extends Readonly<Record<string, unknown>>>(
  properties: P,
  optional: readonly string[] = [],
): {
  readonly type: 'object'
  readonly properties: P
  readonly required: readonly string[]
  readonly additionalProperties: false
} {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required, additionalProperties: false }
}

/** All stages; the type makes sure that none is forgotten. */
const stages = {
  nic: true,
  irq: true,
  napi: true,
  alloc: true,
  gro: true,
  gso: true,
  rx: true,
  xdp: true,
  'tap-in': true,
  'tc-in': true,
  bridge: true,
  nf: true,
  route: true,
  socket: true,
  xfrm: true,
  neigh: true,
  'tc-out': true,
  'netkit-primary': true,
  'netkit-peer': true,
  qdisc: true,
  'tap-out': true,
  tx: true,
  xmit: true,
  decap: true,
  policy: true,
  proxy: true,
  cgroup: true,
} as const satisfies Readonly<Record<Stage, true>>

const stage = { enum: Object.keys(stages) } as const

const mapFact = {
  kind: { const: 'map' },
  map: text,
  key: hex,
  before: hex,
  after: hex,
  keyText: text,
  beforeText: text,
  afterText: text,
} as const
const optionalOfMap = ['before', 'after', 'beforeText', 'afterText'] as const

const act = {
  oneOf: [
    record({ ...mapFact, line: text }, [...optionalOfMap, 'line']),
    record(
      {
        kind: { const: 'program' },
        what: { enum: ['attach', 'replace', 'detach'] },
        device: text,
        stage,
        program: text,
        line: text,
      },
      ['line'],
    ),
    record({ kind: { const: 'route' }, what: { enum: ['add', 'delete'] }, text, line: text }, ['line']),
    record({ kind: { const: 'xfrm' }, text, line: text }, ['line']),
  ],
} as const

const fact = {
  oneOf: [
    record({ kind: { const: 'drop' }, reason: text }),
    record({ kind: { const: 'fib' }, via: text, device: text, table: count }, ['via', 'table']),
    record({ kind: { const: 'tracepoint' }, name: text }),
    record(mapFact, optionalOfMap),
    record({ kind: { const: 'record' }, map: text, bytes: hex }),
    record({ kind: { const: 'lookup' }, map: text, keyText: text, valueText: text }, ['valueText']),
    record({ kind: { const: 'helper' }, name: text, args: text, result: { type: 'number' } }),
    record({ kind: { const: 'tail-call' }, map: text, index: count, program: text }, ['program']),
    record({ kind: { const: 'kernel' }, word: text, text }),
  ],
} as const

const reachedPair = record(
  {
    from: text,
    to: text,
    protocol: { enum: ['tcp', 'udp', 'icmp'] },
    port: { type: 'integer', minimum: 1, maximum: 0xffff },
    family: { enum: [4, 6] },
    verdict: text,
    reason: text,
  },
  ['port', 'reason'],
)

const event = record(
  {
    node: text,
    device: text,
    stage,
    chain: text,
    actor: text,
    decision: record({ code: text, target: text, value: { type: 'integer' } }, ['target', 'value']),
    before: count,
    after: count,
    facts: list(fact),
    nested: list({ $ref: '#/definitions/event' }),
    time: count,
    line: text,
    effects: list(text),
  },
  ['chain', 'decision', 'line', 'effects'],
)

const packet = record(
  {
    name: text,
    cause: text,
    summary: text,
    snapshots: list(
      record({
        bytes: hex,
        start: { enum: ['ethernet', 'ip'] },
        mark: count,
        pktType: count,
        vlanTci: { type: 'integer', minimum: -1, maximum: 0xffff },
        metaBytes: count,
      }),
    ),
    first: count,
    events: list({ $ref: '#/definitions/event' }),
    outcomes: list(
      record(
        {
          kind: { enum: ['delivered', 'dropped', 'consumed', 'looped', 'unfinished'] },
          node: text,
          device: text,
          stage,
          reason: text,
        },
        ['reason'],
      ),
    ),
  },
  ['summary'],
)

/** The schema; `$id` changes when the format's version does. */
export const traceSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  $id: 'scn-trace-1',
  title: 'A trace of one case of one scenario',
  definitions: { event, packet },
  ...record(
    {
      format: { const: 'scn-trace' },
      version: { const: 1 },
      scenario: text,
      case: text,
      bindings: list(record({ name: text, addresses: list(text), remarks: list(text) })),
      packets: list({ $ref: '#/definitions/packet' }),
      steps: list(
        record(
          {
            title: text,
            packets: count,
            nodes: list(record({ node: text, acts: list(act) })),
            shown: record({ node: text, text }),
            reached: list(reachedPair),
          },
          ['shown', 'reached'],
        ),
      ),
      state: list(record({ node: text, lines: list(record({ word: text, text })) })),
      unstable: list(record({ kind: { enum: ['port', 'sequence', 'identifier'] }, value: count })),
    },
    ['case', 'steps', 'unstable'],
  ),
} as const
