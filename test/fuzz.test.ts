// What nobody would write: specs with words, lines and letters lost, doubled, swapped and invented; frames with bytes
// that no stack would send. A spec is refused with its mistakes or it runs to an end; a packet has a fate. Our own
// mistakes (a failed assertion, an exception, no end) are what this looks for. FUZZ_RUNS makes it look longer, FUZZ_SEED
// elsewhere.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { boot } from '../src/boot/boot.ts'
import { deviceOf, namespaceOf } from '../src/boot/resolved.ts'
import { load } from '../src/cli/load.ts'
import { born } from '../src/kernel/birth.ts'
import { receive } from '../src/kernel/receive.ts'
import { skbFromFrame } from '../src/kernel/skb.ts'
import type { Model } from '../src/model/model.ts'
import { renderDiagnostics } from '../src/report/diagnostic.ts'
import { jsonReport } from '../src/report/json.ts'
import { junitReport } from '../src/report/junit.ts'
import { textReport } from '../src/report/text.ts'
import { runFile } from '../src/run/run.ts'
import { simulate } from '../src/run/simulate.ts'
import { parse } from '../src/syntax/parse.ts'
import { print } from '../src/syntax/print.ts'
import { formatSections } from '../src/trace/format.ts'
import { parseGolden } from '../src/trace/golden.ts'
import { traceToJson } from '../src/trace/json.ts'
import { traceToMermaid } from '../src/trace/mermaid.ts'
import { traceToPcapng } from '../src/trace/pcapng.ts'
import { sectionOf } from '../src/trace/section-of.ts'
import { traceToTcpdump } from '../src/trace/tcpdump.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_801)
const scale = Number(process.env['FUZZ_RUNS'] ?? 1)

/** One text may take so long on a loaded machine; far less is usual. */
const secondsMax = 20

const below = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .sort()
    .map((path) => readFileSync(`${folder}/${path}`, 'utf8'))

const sound = [
  ...below('examples', '.scn'),
  ...readdirSync('specs')
    .filter((folder) => folder !== 'syntax')
    .flatMap((folder) => below(`specs/${folder}`, '.scn')),
  readFileSync('test/fixtures/xdp-tc-codes.scn', 'utf8'),
].filter((text) => text.length < 20_000)

/** Sound ones more often: what is refused anyway does not run. */
const specs = [...sound, ...sound, ...sound, ...below('specs/syntax', '.scn')]

/** Words of all specs, so that a mutant borrows from others what its place does not expect. */
const words = [...new Set(specs.flatMap((text) => text.match(/[^\s{}()[\]|;,]+|[{}()[\]|;,]/g) ?? []))]
const lines = [...new Set(specs.flatMap((text) => text.split('\n')))].filter((line) => line.trim() !== '')
const junk = [
  '',
  ' ',
  '\n',
  '0',
  '-1',
  '65536',
  '4294967296',
  '1e9',
  '$',
  '"',
  '#',
  '|',
  '-',
  '\0',
  'é',
  '𝄞',
  '0s',
]

interface Edit {
  readonly kind: 'word' | 'line' | 'character'
  readonly act: 'delete' | 'double' | 'swap' | 'replace' | 'insert'
  readonly at: number
  readonly other: number
  readonly put: number
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('word', 'word', 'line', 'character'),
  act: fc.constantFrom('delete', 'double', 'swap', 'replace', 'replace', 'insert'),
  at: fc.nat(1_000_000),
  other: fc.nat(1_000_000),
  put: fc.nat(1_000_000),
})

const splitters: Readonly<Record<Edit['kind'], RegExp>> = {
  word: /([\s{}()[\]|;,]+)/,
  line: /(\n)/,
  character: /(?:)/u,
}

function mutate(text: string, { kind, act, at, other, put }: Edit): string {
  const parts = text.split(splitters[kind])
  // Words stand at even places, what separates them at odd ones.
  const step = kind === 'character' ? 1 : 2
  const count = Math.ceil(parts.length / step)
  const [i, j] = [(at % count) * step, (other % count) * step]
  const pool = kind === 'word' ? words : kind === 'line' ? lines : junk
  const found = pool[put % pool.length] ?? ''
  const [here, there] = [parts[i] ?? '', parts[j] ?? '']
  switch (act) {
    case 'delete':
      parts[i] = ''
      break
    case 'double':
      parts[i] = `${here}${kind === 'word' ? ' ' : kind === 'line' ? '\n' : ''}${here}`
      break
    case 'swap':
      parts[i] = there
      parts[j] = here
      break
    case 'replace':
      parts[i] = found
      break
    case 'insert':
      parts[i] = `${found}${kind === 'word' ? ' ' : kind === 'line' ? '\n' : ''}${here}`
      break
  }
  return parts.join('')
}

const mutant = (texts: readonly string[]): fc.Arbitrary<string> =>
  fc
    .record({ text: fc.constantFrom(...texts), edits: fc.array(edit, { minLength: 1, maxLength: 3 }) })
    .map(({ text, edits }) => edits.reduce(mutate, text))

/** Where the command finds a mutant. */
const folder = mkdtempSync(`${tmpdir()}/scn-fuzz-`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Checks a text as the command does; undefined when it is refused, and then it must be told why. */
function modelOf(text: string): Model | undefined {
  const source = { name: 'mutant.scn', text }
  const printed = print(source)
  const parsed = parse(source)
  expect(printed.ok).toBe(parsed.ok)
  writeFileSync(`${folder}/mutant.scn`, text)
  const checked = load(folder, 'mutant.scn')
  renderDiagnostics(checked.diagnostics)
  for (const { span } of checked.diagnostics) {
    expect(span.end).toBeGreaterThanOrEqual(span.start)
    expect(span.end).toBeLessThanOrEqual(span.source.text.length)
  }
  if (checked.ok) return checked.value
  expect(checked.diagnostics.some(({ severity }) => severity === 'error')).toBe(true)
  return undefined
}

/** Runs a model, writes every report and form of its traces, and reads the golden back. */
function runAndShow(model: Model): void {
  const verdict = runFile(model, undefined, { seed: 0, complete: true, wants: () => true })
  if (verdict.kind === 'broken') throw new Error(verdict.message)
  const result = { files: [verdict], missingIsFailure: true, elapsed: 0 }
  textReport(result)
  jsonReport(result)
  junitReport(result)
  if (verdict.kind !== 'run') return
  const sections = verdict.cases.flatMap(({ section }) => (section === undefined ? [] : [section]))
  if (sections.length === 0) return
  const golden = parseGolden({ name: 'mutant.trace', text: formatSections(sections) })
  expect(golden.diagnostics).toEqual([])
  const again = runFile(
    model,
    { name: 'mutant.trace', text: formatSections(sections) },
    { seed: 0, complete: true, wants: () => true },
  )
  expect(
    again.kind === 'run' && again.cases.map((each) => each.golden.kind).filter((kind) => kind !== 'off'),
  ).toEqual(sections.map(() => 'equal'))
}

function timed(work: () => void): void {
  const started = performance.now()
  work()
  expect((performance.now() - started) / 1000).toBeLessThan(secondsMax)
}

const settings = (runs: number): fc.Parameters<[string]> => ({
  seed,
  numRuns: Math.ceil(runs * scale),
  endOnFailure: scale > 1,
})

describe('specs', () => {
  test('a mutant is refused with its mistakes, or runs to an end', () => {
    let ran = 0
    fc.assert(
      fc.property(mutant(specs), (text) =>
        timed(() => {
          const model = modelOf(text)
          if (model === undefined) return
          ran += 1
          runAndShow(model)
        }),
      ),
      settings(500),
    )
    expect(ran).toBeGreaterThan(20) // most mutants are refused; a fuzz that runs nothing finds nothing
  }, 3_600_000)

  test('a mutant of a golden is read or refused', () => {
    const goldens = [...below('examples', '.trace'), ...below('specs', '.trace')]
    fc.assert(
      fc.property(mutant(goldens), (text) =>
        timed(() => {
          const golden = parseGolden({ name: 'mutant.trace', text })
          renderDiagnostics(golden.diagnostics)
          for (const { span } of golden.diagnostics) expect(span.end).toBeLessThanOrEqual(text.length)
        }),
      ),
      settings(300),
    )
  }, 3_600_000)
})

/** A router with a bridge, a VLAN and programs, and hosts that listen around it. */
const world = `scn 1

topology {
  net lan 10.1.0.0/24 fd01::/64
  net wan 10.2.0.0/24 fd02::/64
  node router {
    dev eth0 on lan 10.1.0.254 fd01::fe { xdp native guard; tc-in look; tc-out look }
    dev eth1 on wan 10.2.0.254 fd02::fe { xdp generic guard; tcx-in look; tcx-out look }
    dev eth1.7 vlan 10.7.0.254/24 id 7 dev eth1
    dev br0 bridge 10.3.0.254/24
    dev port1 peer left/eth0 master br0
    dev port2 peer right/eth0 master br0 hairpin on
    sysctl net.ipv4.ip_forward = 1
    sysctl net.ipv6.conf.all.forwarding = 1
    listen udp 53 echo
    listen tcp 80
  }
  node alice { dev eth0 on lan 10.1.0.1 fd01::1; route default via 10.1.0.254; listen udp 7; listen tcp 80 }
  node bob { dev eth0 on wan 10.2.0.1 fd02::1; route default via 10.2.0.254; listen udp 7 echo; listen tcp 80 echo }
  netns left { dev eth0 10.3.0.1/24 { xdp native guard }; route default via 10.3.0.254; listen udp 7 }
  netns right { dev eth0 10.3.0.2/24; route default via 10.3.0.254; listen tcp 80 }
}

prog guard xdp {
  map seen hash key u32 value u64
  ip.ttl == 7 => XDP_DROP { count seen[ip.src] }
  udp.dport == 7 and ip.dst == 10.1.0.254 => XDP_TX { swap eth ip udp }
  vlan => XDP_PASS { count seen[ip.dst] }
  tcp.flags == syn and tcp.dport == 81 => XDP_PASS { set tcp.dport = 80 }
  udp.dport == 4789 => XDP_PASS { adjust-head 50 }
  ip6 => XDP_PASS { adjust-head -14; set meta = 7 }
  otherwise => XDP_PASS
}

prog look tc {
  map seen lru-hash key u32 value u64 max-entries 4
  meta == 7 => TC_ACT_OK { set mark = 3 }
  tcp.dport == 22 => TC_ACT_SHOT
  udp.dport == 53 => TC_ACT_OK { set ip.src = 10.1.0.9; set udp.dport = 54; count seen[ip.src] }
  udp.dport == 5 => TC_ACT_REDIRECT { redirect eth1 egress }
  udp.dport == 6 => TC_ACT_REDIRECT { redirect eth0 ingress }
  vlan => TC_ACT_OK { pop-vlan }
  icmp => TC_ACT_OK { push-vlan 9 }
  ip.proto == 132 => TC_ACT_REDIRECT { redirect-neigh eth0 }
  otherwise => TC_ACT_UNSPEC
}

scenario traffic {
  golden full
  f1: udp alice:4000 > bob:7 { send 5 recv 5 }
  f2: tcp alice:40000 > bob:80 { open send 100 close }
  f3: udp left:4000 > right:9 { send 3000 }
  f4: udp [fd01::1]:4000 > [fd02::1]:7 { send 5 }
  f5: udp left:4000 > bob:7 ttl 1 { send 5 }
  p1: packet icmp echo-request alice > 10.1.0.254 on router/eth0
  p2: packet arp request 10.1.0.50 > 10.1.0.254 on router/eth0
  p3: packet icmp6 ns fd01::1 > fd01::fe on router/eth0
  p4: packet sctp alice:1 > bob:2 on router/eth0
}
`

const model = modelOf(world)
if (model === undefined) throw new Error('the world of the frames is refused')
const theCase = model.scenarios[0]?.cases[0]
if (theCase === undefined) throw new Error('the world of the frames has no case')

const usual = simulate(theCase, { seed: 0, scenario: 'traffic', full: true }).trace

/** Frames that really cross this world, of every protocol, each once. */
const frames = [
  ...new Map(
    usual.packets
      .flatMap(({ first, events }) => [first, ...events.map(({ after }) => after)])
      .filter(({ start }) => start === 'ethernet')
      .map(({ bytes }) => [Buffer.from(bytes).toString('hex').slice(0, 160), bytes] as const),
  ).values(),
].filter((bytes) => bytes.length >= 14)

const places = [
  'router/eth0',
  'router/eth1',
  'router/port1',
  'router/port2',
  'alice/eth0',
  'bob/eth0',
  'left/eth0',
]

const injected = fc.record({
  place: fc.constantFrom(...places),
  frame: fc.oneof(
    fc.uint8Array({ minLength: 14, maxLength: 200 }),
    fc
      .record({
        base: fc.constantFrom(...frames),
        pokes: fc.array(
          fc.record({
            at: fc.nat(120),
            value: fc.constantFrom(0, 1, 4, 5, 6, 17, 41, 58, 64, 127, 128, 254, 255),
          }),
          { maxLength: 4 },
        ),
        length: fc.option(fc.nat(200)),
      })
      .map(({ base, pokes, length }) => {
        const bytes = Uint8Array.from(base)
        for (const { at, value } of pokes) if (at < bytes.length) bytes[at] = value
        if (length === null) return bytes
        const cut = new Uint8Array(Math.max(14, length))
        cut.set(bytes.subarray(0, cut.length))
        return cut
      }),
  ),
})

describe('frames', () => {
  test('there are frames of every kind to start from', () => {
    expect(frames.length).toBeGreaterThan(30)
  })

  test('every frame has a fate', () => {
    fc.assert(
      fc.property(fc.array(injected, { minLength: 1, maxLength: 12 }), (batch) =>
        timed(() => {
          const { machine } = boot(theCase.world, { seed: 0, trace: { full: true } })
          for (const [index, { place, frame }] of batch.entries()) {
            const [host = '', device = ''] = place.split('/')
            const dev = deviceOf(namespaceOf(machine, host), device)
            const skb = skbFromFrame(dev, frame)
            born(skb, `p${index}`)
            receive(dev, skb)
            machine.clock.drain()
          }
          machine.clock.advance(machine.clock.now + 60_000_000_000)
        }),
      ),
      { seed, numRuns: Math.ceil(250 * scale), endOnFailure: scale > 1 },
    )
  }, 3_600_000)

  test('and a trace in every form', () => {
    fc.assert(
      fc.property(fc.array(injected, { minLength: 1, maxLength: 6 }), (batch) =>
        timed(() => {
          const steps = batch.map(
            ({ place, frame }, index) =>
              `  q${index}: packet hex "${Buffer.from(frame).toString('hex')}" on ${place}`,
          )
          const text = world.replace(/ {2}f1: udp[\s\S]*$/, `${steps.join('\n')}\n  wait 5s\n}\n`)
          const own = modelOf(text)
          expect(own).toBeDefined()
          const first = own?.scenarios[0]?.cases[0]
          if (own === undefined || first === undefined) return
          runAndShow(own)
          const { trace } = simulate(first, { seed: 0, scenario: 'traffic', full: true })
          for (const level of ['minimal', 'hops', 'full'] as const) sectionOf(trace, { level })
          JSON.stringify(traceToJson(trace))
          traceToMermaid(trace)
          traceToPcapng(trace)
          traceToTcpdump(trace)
        }),
      ),
      { seed, numRuns: Math.ceil(80 * scale), endOnFailure: scale > 1 },
    )
  }, 3_600_000)
})
