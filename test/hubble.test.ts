// Cilium's own views of a run: lines of `cilium monitor`, flows of Hubble against their schema.
import { readdirSync, readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { hubbleSchema } from '../src/cilium/decode/hubble-schema.ts'
import { scnIn } from './support/command.ts'

/** Specs with packets in their golden: a table of `reach` has none. */
const specs = ['specs/cilium', 'specs/cilium/l7'].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.trace'))
    .map((name) => `${folder}/${name}`)
    .filter((path) => readFileSync(path, 'utf8').includes('\npacket '))
    .map((path) => path.replace(/trace$/, 'scn')),
)
const proxy = 'specs/cilium/l7/policy-and-the-l7-proxy.scn'
const queries = 'specs/cilium/l7/queries-are-answered-or-refused.scn'
const overlay = 'specs/cilium/a-pod-reaches-a-pod-through-the-overlay.scn'

describe('hubble', () => {
  const validate = new Ajv({ allErrors: true, strict: false, formats: { 'date-time': true } }).compile(
    hubbleSchema,
  )

  test.each(specs)('every flow of %s fits the schema', async (path) => {
    const { code, out } = await scnIn('.', ['trace', path, '--as', 'hubble'])
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(validate(JSON.parse(line)), JSON.stringify(validate.errors)).toBe(true)
  })

  test('flags of `hubble observe` behind -- choose flows', async () => {
    const traced = (...words: readonly string[]) => scnIn('.', ['trace', overlay, ...words])
    const { out } = await traced(
      '--as',
      'hubble',
      '--',
      '--to-pod',
      'default/',
      '--type',
      'trace:to-endpoint',
    )
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).flow)
    expect(flows.length).toBeGreaterThan(0)
    expect(new Set(flows.map((flow) => flow.trace_observation_point))).toEqual(new Set(['TO_ENDPOINT']))
    expect((await traced('--', '--pod', 'x')).err).toContain('chooses flows of `--as hubble`')
    expect((await traced('--as', 'hubble', '--', '--pods', 'x')).err).toContain('`--pods` is no filter')
  })

  test('the schema takes nothing else', () => {
    expect(validate({ flow: {}, node_name: 'default/n1', time: '1970-01-01T00:00:00Z' })).toBe(false)
  })

  test('flows of the proxies say what was asked and answered', async () => {
    const { out } = await scnIn('.', ['trace', `${proxy}::l7-verdict[method]`, '--as', 'hubble'])
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).flow)
      .filter((flow) => flow.Type === 'L7')
    expect(flows).toMatchObject([
      {
        verdict: 'DROPPED',
        is_reply: false,
        traffic_direction: 'INGRESS',
        source: { pod_name: 'frontend' },
        l7: { type: 'REQUEST', http: { method: 'POST', url: 'http://api/public/a', protocol: 'HTTP/1.1' } },
        Summary: 'HTTP/1.1 POST http://api/public/a',
      },
      {
        verdict: 'FORWARDED',
        is_reply: true,
        source: { pod_name: 'api' },
        l7: { type: 'RESPONSE', http: { code: 403 } },
        Summary: 'HTTP/1.1 403 0ms (POST http://api/public/a)',
      },
    ])
  })

  test('so do those of the DNS proxy', async () => {
    const { out } = await scnIn('.', ['trace', `${queries}::outside`, '--as', 'hubble'])
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).flow)
      .filter((flow) => flow.Type === 'L7')
    expect(flows.map(({ verdict, Summary }) => `${verdict} ${Summary}`)).toEqual([
      'FORWARDED DNS Query www.example.com. A',
      'FORWARDED DNS Answer "192.168.5.100" TTL: 30 (Proxy www.example.com. A)',
      'DROPPED DNS Query mail.example.com. A',
    ])
  })

  test('a flow says who, where and which way', async () => {
    const { out } = await scnIn('.', ['trace', overlay, '--as', 'hubble'])
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).flow)
    const delivered = flows.find((flow) => flow.trace_observation_point === 'TO_ENDPOINT')
    expect(delivered).toMatchObject({
      verdict: 'FORWARDED',
      IP: { source: '10.0.1.10', destination: '10.0.2.20', ipVersion: 'IPv4' },
      l4: { TCP: { source_port: 40000, destination_port: 80, flags: { SYN: true } } },
      source: { identity: 11763, namespace: 'default', pod_name: 'client' },
      destination: { identity: 33675, namespace: 'default', pod_name: 'server' },
      node_name: 'default/n2',
      event_type: { type: 4 },
      // the event carries the source's address as orig-ip, which Hubble takes for a translation
      traffic_direction: 'EGRESS',
      trace_reason: 'NEW',
      is_reply: false,
      Summary: 'TCP Flags: SYN',
    })
    // an endpoint's number is known on its own node only
    expect(delivered.source.ID).toBeUndefined()
    expect(delivered.destination.ID).toBeGreaterThan(0)
    const wire = flows.find((flow) => flow.trace_observation_point === 'TO_NETWORK')
    expect(wire.tunnel).toMatchObject({
      protocol: 'VXLAN',
      IP: { source: '192.168.5.11', destination: '192.168.5.12' },
      vni: 11763,
    })
  })
})

describe('monitor', () => {
  test('each node tells what its programs sent, in order', async () => {
    const { out } = await scnIn('.', ['trace', overlay, '--as', 'monitor'])
    const [first = '', second = ''] = out.split('\n\n')
    const words = (text: string): string[] =>
      text
        .trimEnd()
        .split('\n')
        .slice(1, 5)
        .map((line) => line.slice(0, line.indexOf(' flow')))
    expect(first).toMatch(/^== n1 ==\n/)
    expect(words(first)).toEqual(['<- endpoint 4066', '-> overlay', '-> overlay', '-> network'])
    expect(second).toMatch(/^== n2 ==\n/)
    expect(words(second).slice(0, 3)).toEqual(['<- network', '<- overlay', '-> endpoint 1844'])
  })

  test('a node tells what its proxies logged', async () => {
    const { out } = await scnIn('.', ['trace', `${proxy}::l7-verdict[path]`, '--as', 'monitor'])
    const lines = out.split('\n').filter((line) => line.includes(' http '))
    const short = lines.map((line) => line.replace(/ \(\[[^\]]*\]\)/g, ''))
    expect(short).toEqual([
      '<- Request http from 3974 to 260, identity 37309->61123, verdict Denied GET http://api/admin => 0',
      '<- Response http to 3974 from 260, identity 61123->37309, verdict Forwarded GET http://api/admin => 403',
    ])
    expect(lines[0]).toContain('([k8s:app=frontend ')
  })

  test('without Cilium nobody speaks', async () => {
    const { code, err } = await scnIn('.', ['trace', 'examples/01-first-packet.scn', '--as', 'monitor'])
    expect(code).toBe(2)
    expect(err).toContain('has no `cluster cilium`')
  })
})

describe('cilium on a node', () => {
  const show = async (command: string): Promise<string> =>
    (await scnIn('.', ['show', overlay, command, '--node', 'n1'])).out

  test('conntrack', async () => {
    expect(await show('cilium bpf ct list global')).toMatch(
      /^TCP OUT 10\.0\.1\.10:40000 -> 10\.0\.2\.20:80 expires=\d+ Packets=3 Bytes=214 RxFlagsSeen=0x02 LastRxReport=\d+ TxFlagsSeen=0x02 LastTxReport=\d+ Flags=0x0010 \[ SeenNonSyn \] RevNAT=0 SourceSecurityID=11763 BackendID=0 NatPort=0 \n/,
    )
  })

  test('ipcache, by the map and by the agent', async () => {
    const entry =
      /10\.0\.2\.20\/32 +identity=33675 encryptkey=0 tunnelendpoint=192\.168\.5\.12 flags=hastunnel/
    expect(await show('cilium bpf ipcache list')).toMatch(entry)
    expect(await show('cilium map get cilium_ipcache_v2')).toMatch(entry)
  })

  test('endpoints, identities, policies', async () => {
    expect(await show('cilium endpoint list')).toMatch(
      /\n4066 +Disabled +Disabled +11763 +k8s:app=client +10\.0\.1\.10 +ready/,
    )
    expect(await show('cilium bpf endpoint list')).toMatch(
      /10\.0\.1\.10:0 +id=4066 +sec_id=11763 flags=0x0000 ifindex=\d+/,
    )
    expect(await show('cilium identity list')).toMatch(/\n11763 +k8s:app=client\n/)
    expect(await show('cilium bpf policy get 4066')).toMatch(
      /\nAllow +Ingress +reserved:host +ANY +NONE +disabled +- +- +0 +0\n/,
    )
    expect(await show('cilium bpf policy get -n 4066')).toMatch(/\nAllow +Ingress +1 +ANY/)
  })

  test('rates of pods', async () => {
    const file =
      'specs/cilium/bandwidth/egress-bandwidth-gives-packets-their-time-of-departure.scn::paced[native]'
    const { out } = await scnIn('.', ['show', file, 'cilium bpf bandwidth list', '--node', 'n1'])
    expect(out).toMatch(
      /^IDENTITY +DIRECTION +PRIO +BANDWIDTH \(BitsPerSec\)\n112 +Egress +0 +0\n1564 +Egress +0 +8M\n945 +Egress +7 +0\n$/,
    )
    expect(await show('cilium bpf bandwidth list')).toBe('No entries found.\n')
  })

  test('what is not understood', async () => {
    const { code, err } = await scnIn('.', ['show', overlay, 'cilium bpf lb', '--node', 'n1'])
    expect(code).not.toBe(0)
    expect(err).toContain('`lb` in `cilium bpf lb` is not understood')
  })
})
