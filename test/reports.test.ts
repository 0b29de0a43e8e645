// Reports: what people read in a terminal, in a pull request, and what tools read.
import { spawnSync } from 'node:child_process'
import { Ajv } from 'ajv'
import { afterAll, describe, expect, test } from 'vitest'
import { runSchema } from '../src/report/json.ts'
import { workplace } from './support/command.ts'
import { clusterSpec, hello } from './support/hello.ts'

const router = (code: string): string => `scn 1

topology {
  net left  10.1.0.0/24
  net right 10.2.0.0/24
  node client { dev eth0 on left 10.1.0.1; route default via 10.1.0.254 }
  node n1 {
    dev eth0 on left  10.1.0.254 { tc-in nat }
    dev eth1 on right 10.2.0.254
    sysctl net.ipv4.ip_forward = 1
  }
  node web { dev eth0 on right 10.2.0.1; route default via 10.2.0.254; listen udp 80; listen udp 81 }
}

prog nat tc { udp.dport == 80 => TC_ACT_OK { ${code} }; otherwise => TC_ACT_OK }

scenario visit {
  cases {
    | id  | src    | port |
    | dsr | client | 80   |
    | raw | client | 81   |
    | two | client | 80   |
  }

  f1: udp client:55000 > web:$port { send 20 }

  expect f1.data1 {
    ip.src == $src
    udp.dport == $port
  }
}
`

const place = workplace({ 'nat.scn': router('set ip.tos = 8') })
await place.scn(['run', '--golden=new'])
place.write('nat.scn', router('set ip.src = 10.1.0.254; set ip.tos = 8'))
afterAll(place.remove)

const report = async (...words: string[]): Promise<string> =>
  (await place.scn(['run', ...words], { CI: '1' })).out.replace(/Time {2}\d+\.\d\d s/, 'Time  0.00 s')

describe('text', () => {
  test('a failing case: the claim, the caret, who did it; then where the trace first differs', async () => {
    expect(await report()).toMatchInlineSnapshot(`
      " FAIL  nat.scn › visit [dsr]                                              golden differs, 1 expectation failed

        expect ip.src == $src                                                   nat.scn:20:13
         20 |     | dsr | client | 80   |
            |             ^^^^^^ expected client (10.1.0.1), actual n1 (10.1.0.254)
         28 |     ip.src == $src
            |               ^^^^ asked here
            = f1.data1 at n1/route by kernel; changed at n1/eth0/tc-in by nat

        first divergence: f1.data1 @ n1 › eth0 tc-in › nat                      nat.trace:14
          + snat client:55000 -> n1:55000
            ip.tos 0 -> 8
          then 9 lines differ as a consequence (-v shows all)

        same first divergence in 1 other case of 1 file                         scn review --group 1

       FAIL  nat.scn › visit [two]                                              golden differs, 1 expectation failed

        expect ip.src == $src                                                   nat.scn:22:13
         22 |     | two | client | 80   |
            |             ^^^^^^ expected client (10.1.0.1), actual n1 (10.1.0.254)
         28 |     ip.src == $src
            |               ^^^^ asked here
            = f1.data1 at n1/route by kernel; changed at n1/eth0/tc-in by nat

        same first divergence as nat.scn::visit[dsr]

       Cases   1 passed  2 failed  2 changed      Files  1      Time  0.00 s
      "
    `)
  })

  test('-q prints failures only, -v every difference', async () => {
    expect(await report('-q')).not.toContain('Cases')
    expect((await report('-v')).split('\n').length).toBeGreaterThan((await report()).split('\n').length)
  })

  test('colours only add', async () => {
    const coloured = await report('--color', 'always')
    expect(coloured).toContain('\u001b[')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of colours
    expect(coloured.replaceAll(/\u001b\[\d+m/g, '')).toBe(await report())
  })

  test('all is well in one line', async () => {
    const own = workplace({ 'hello.scn': hello() })
    await own.scn(['run', '--golden=new'])
    expect((await own.scn(['run'])).out).toMatch(
      /^ Cases {3}3 passed {6}Files {2}1 {6}Time {2}\d+\.\d\d s\n$/,
    )
    expect((await own.scn(['run', '-q'])).out).toBe('')
    own.remove()
  })
})

/** A run with everything that can be wrong: failures, differences, obsolete sections, rejected files, missing engines. */
const sorry = workplace({
  'nat.scn': router('set ip.tos = 8'),
  'odd, 100%: name.scn': hello().replace('delivered to bob', 'delivered to alice'),
  'new.scn': hello(),
})
await sorry.scn(['run', '--golden=new', 'nat.scn', 'odd, 100%: name.scn::nobody'])
sorry.write('nat.scn', router('set ip.src = 10.1.0.254').replace('| two', '| new'))
sorry.write('bad.scn', 'scn 1\ntopolgy { net <lan> "&" }\n')
sorry.write('cluster.scn', clusterSpec)
afterAll(sorry.remove)

const sorryReport = async (name: string): Promise<string> =>
  (await sorry.scn(['run', '--reporter', name], { CI: '1' })).out

describe('json', () => {
  const validate = new Ajv({ allErrors: true, strict: false }).compile(runSchema)

  test('follows its schema', async () => {
    for (const text of [await report('--reporter', 'json'), await sorryReport('json')]) {
      validate(JSON.parse(text))
      expect(validate.errors ?? []).toEqual([])
    }
  })

  test('says the same twice', async () => {
    expect(await sorryReport('json')).toBe(await sorryReport('json'))
  })

  test('knows every kind of file and verdict', async () => {
    const { totals, files } = JSON.parse(await sorryReport('json'))
    expect(files.map(({ path, status }: { path: string; status: string }) => [path, status])).toEqual([
      ['bad.scn', 'rejected'],
      ['cluster.scn', 'unavailable'],
      ['nat.scn', 'run'],
      ['new.scn', 'run'],
      ['odd, 100%: name.scn', 'run'],
    ])
    expect(totals).toEqual({
      passed: 2,
      failed: 10,
      changed: 1,
      obsolete: 1,
      missing: 6,
      files: 5,
      rejected: 1,
      unavailable: 1,
    })
    expect(files[2].obsolete).toEqual(['visit[two]'])
  })
})

describe('junit', () => {
  /** Opening and closing tags of a document that is well-formed, in order; throws for one that is not. */
  function tags(xml: string): string[] {
    const found: string[] = []
    const stack: string[] = []
    const body = xml.replace(/^<\?xml version="1.0" encoding="UTF-8"\?>\n/, '')
    const pattern = /<(\/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(\/?)>|([^<]+)|(.)/gs
    for (const [, close, name = '', , single, text, wrong] of body.matchAll(pattern)) {
      if (wrong !== undefined) throw new Error(`stray ${wrong}`)
      if (text !== undefined) {
        expect(text).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/)
        continue
      }
      if (close === '/') {
        expect(stack.pop()).toBe(name)
        continue
      }
      found.push(name)
      if (single !== '/') stack.push(name)
    }
    expect(stack).toEqual([])
    return found
  }

  test('is well-formed and counts right', async () => {
    const xml = await sorryReport('junit')
    const found = tags(xml)
    const count = (name: string): number => found.filter((each) => each === name).length
    expect([count('testsuite'), count('testcase'), count('failure'), count('error')]).toEqual([5, 12, 8, 2])
    expect(xml).toContain('<testsuites name="scn" tests="12" failures="8" errors="2">')
  })

  test('another reader agrees', async (context) => {
    const xml = await sorryReport('junit')
    const script =
      'import sys, xml.etree.ElementTree as e; r = e.fromstring(sys.stdin.buffer.read()); print(len(r.findall(".//testcase")))'
    const python = spawnSync('python3', ['-c', script], { input: xml })
    if (python.error !== undefined) context.skip('python3 is not installed here')
    expect(python.stdout.toString()).toBe('12\n')
  })
})

describe('github', () => {
  test('an annotation for each failure, escaped', async () => {
    const lines = (await sorryReport('github')).trimEnd().split('\n')
    for (const line of lines) {
      expect(line).toMatch(/^::(error|warning) file=[^,:]+,line=\d+,col=\d+,title=[^,:]+::[^\r\n]+$/)
    }
    expect(lines.filter((line) => line.startsWith('::error file=odd%2C 100%25%3A name.scn,'))).toHaveLength(4)
    expect(lines.find((line) => line.includes('bad.scn'))).toContain(
      'title=S002::`topolgy` is not known here',
    )
    expect(lines.find((line) => line.startsWith('::warning file=cluster.scn'))).toContain('title=S190')
    expect(lines.find((line) => line.includes('visit[two]'))).toContain('::error file=nat.trace,line=')
  })
})

test('several reports at once, each in its file', async () => {
  const own = workplace({ 'hello.scn': hello() })
  const { out } = await own.scn([
    'run',
    '--golden=new',
    '--reporter',
    'json=out.json',
    '--reporter',
    'junit=out.xml',
    '--reporter',
    'text',
  ])
  expect(out).toContain('3 passed')
  expect(JSON.parse(own.read('out.json')).totals.passed).toBe(3)
  expect(own.read('out.xml')).toContain('tests="3"')
  own.remove()
})

test('a report that cannot be written is told, and the others are made', async () => {
  const own = workplace({ 'hello.scn': hello() })
  const words = ['run', '--golden=new', '--reporter', 'json=no/such/out.json', '--reporter', 'text']
  const { code, out, err } = await own.scn(words)
  expect({ code, err }).toEqual({
    code: 2,
    err: 'scn: `no/such/out.json` cannot be written: no such file or folder\n',
  })
  expect(out).toContain('3 passed')
  own.remove()
})
