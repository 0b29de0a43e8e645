// The JSON Schema (draft-07) of a line that `scn trace --as hubble` writes: field names, kinds and words of Hubble's flow API as
// far as the datapath fills them. Unknown fields are mistakes.
import { hubblePointNames, hubbleReasonNames } from './hubble.ts'
import { hubbleDropNames } from './hubble-drop-names.ts'

const text = { type: 'string', minLength: 1 } as const
const positive = { type: 'integer', minimum: 1 } as const
const yes = { const: true } as const
const time = { type: 'string', format: 'date-time' } as const
const mac = { type: 'string', pattern: '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' } as const

/** RFC 9562, version 4: random. */
const uuid = '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'

function object(properties: Readonly<Record<string, unknown>>, required: readonly string[] = []) {
  return { type: 'object', properties, required, additionalProperties: false } as const
}

const ip = object(
  {
    source: text,
    destination: text,
    source_xlated: text,
    ipVersion: { enum: ['IPv4', 'IPv6'] },
    encrypted: yes,
  },
  ['source', 'destination', 'ipVersion'],
)

const ports = { source_port: positive, destination_port: positive }
const flags = Object.fromEntries(
  ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'].map((name) => [name, yes]),
)
const icmp = object({ type: positive, code: positive })
const layer4 = {
  ...object({
    // flows of the proxies have no flags
    TCP: object({ ...ports, flags: object(flags) }),
    UDP: object(ports),
    SCTP: object(ports),
    ICMPv4: icmp,
    ICMPv6: icmp,
  }),
  maxProperties: 1,
  minProperties: 1,
}

const endpoint = object({
  ID: positive,
  identity: positive,
  cluster_name: text,
  namespace: text,
  labels: { type: 'array', items: text, minItems: 1 },
  pod_name: text,
})

const list = { type: 'array', items: text, minItems: 1 } as const
const http = object({
  code: positive,
  method: text,
  url: text,
  protocol: text,
  headers: { type: 'array', items: object({ key: text, value: { type: 'string' } }, ['key']), minItems: 1 },
})
const dns = object({
  query: text,
  ips: list,
  ttl: positive,
  cnames: list,
  observation_source: { enum: ['proxy'] },
  rcode: positive,
  qtypes: list,
  rrtypes: list,
})
const l7 = object(
  { type: { enum: ['REQUEST', 'RESPONSE'] }, latency_ns: { type: 'string', pattern: '^[0-9]+$' }, http, dns },
  ['type'],
)

const flow = object(
  {
    time,
    uuid: { type: 'string', pattern: uuid },
    verdict: { enum: ['FORWARDED', 'DROPPED', 'REDIRECTED', 'AUDIT', 'ERROR'] },
    drop_reason: positive,
    drop_reason_desc: { anyOf: [{ enum: Object.values(hubbleDropNames) }, positive] },
    auth_type: { enum: ['SPIRE', 'TEST_ALWAYS_FAIL'] },
    ethernet: object({ source: mac, destination: mac }, ['source', 'destination']),
    IP: ip,
    l4: layer4,
    tunnel: object({ protocol: { enum: ['VXLAN', 'GENEVE'] }, IP: ip, l4: layer4, vni: positive }, [
      'protocol',
      'IP',
      'l4',
    ]),
    source: endpoint,
    destination: endpoint,
    Type: { enum: ['L3_L4', 'L7'] },
    l7,
    node_name: text,
    reply: yes,
    is_reply: { type: 'boolean' },
    event_type: object({ type: { enum: [1, 4, 5, 129] }, sub_type: positive }, ['type']),
    traffic_direction: { enum: ['INGRESS', 'EGRESS'] },
    policy_match_type: positive,
    trace_observation_point: { enum: hubblePointNames },
    trace_reason: { enum: hubbleReasonNames.filter((name) => name !== undefined) },
    file: object({ name: text, line: positive }, ['name', 'line']),
    interface: object({ index: positive, name: text }, ['index', 'name']),
    proxy_port: positive,
    Summary: text,
  },
  ['time', 'verdict', 'Type', 'node_name', 'event_type'],
)

export const hubbleSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'A line of scn trace --as hubble',
  ...object({ flow, node_name: text, time }, ['flow', 'node_name', 'time']),
} as const
