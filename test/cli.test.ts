// The command line as its users meet it: what is selected, what is printed, how it ends.
import { readdirSync, readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { modelCodes } from '../src/model/codes.ts'
import { pageWords } from '../src/report/explain.ts'
import { syntaxCodes } from '../src/syntax/codes.ts'
import { traceSchema } from '../src/trace/trace-schema.ts'
import { scnIn, workplace } from './support/command.ts'
import { clusterSpec, hello, helloCases } from './support/hello.ts'

const place = workplace({ 'hello.scn': hello() })
await place.scn(['run', '--golden=new'])
afterAll(place.remove)

const codeOf = async (files: Readonly<Record<string, string>>): Promise<number> => {
  const own = workplace(files)
  await own.scn(['run', '--golden=new'])
  const { code } = await own.scn(['run'], { CI: '1' })
  own.remove()
  return code
}

const failing = hello().replace('delivered to bob', 'delivered to alice')
const rejected = hello().replace('topology', 'topolgy')

describe('exit codes', () => {
  test.each([
    ['0 all passed', 0, { 'a.scn': hello() }],
    ['1 a case failed', 1, { 'a.scn': failing, 'b.scn': hello() }],
    ['3 a file is rejected', 3, { 'a.scn': rejected, 'b.scn': hello() }],
    ['3 over 1', 3, { 'a.scn': failing, 'b.scn': rejected }],
    ['4 an engine is missing', 4, { 'a.scn': clusterSpec }],
    ['4 over 3 over 1', 4, { 'a.scn': failing, 'b.scn': rejected, 'c.scn': clusterSpec }],
    ['5 a folder without specs', 5, { 'readme.md': '# nothing here\n' }],
  ])('%s', async (_, code, files) => {
    expect(await codeOf(files)).toBe(code)
  })

  test('a construct whose engine is to come passes the check with a warning', async () => {
    const own = workplace({ 'a.scn': clusterSpec })
    const { code, out } = await own.scn(['check'])
    expect({ code, last: out.trimEnd().split('\n').at(-1) }).toEqual({
      code: 0,
      last: '1 file, 0 errors, 1 warning',
    })
    own.remove()
  })
})

describe('mistakes on the command line end with 2 and say what was meant', () => {
  test.each([
    ['rnu', 'there is no command `rnu`; did you mean `run`?'],
    ['chekc hello.scn', 'there is no command `chekc`; did you mean `check`?'],
    ['run --goldn=new', 'there is no option `--goldn`; did you mean `--golden`?'],
    ['run -z', 'there is no option `-z`'],
    ['run --golden=nwe', 'did you mean `new`?'],
    ['run --reporter jsn', 'there is no reporter `jsn`; did you mean `json`?'],
    ['run --color sometimes', '`--color` takes auto, always, never, not `sometimes`'],
    ['run nothere.scn', 'there is no file or folder `nothere.scn`'],
    ['trace nothere.scn', 'there is no file or folder `nothere.scn`'],
    ['expand nothere.scn', 'there is no file or folder `nothere.scn`'],
    ['run hello.scn::[x', '`hello.scn::[x` is not a selector; write path::scenario or path::scenario[case]'],
    ['run --shard 3/2', '`3/2` is not a shard; write i/n with 1 <= i <= n'],
    ['run --shard 0/2', '`0/2` is not a shard'],
    ['run -j 0', '`-j` takes a whole number from 1 on, not `0`'],
    ['run --seed x', '`--seed` takes a whole number from 0 on, not `x`'],
    ['run -t net,and', undefined],
    ['trace', 'missing required args for command `trace <selector>`'],
    ['trace hello.scn --as svgg', '`--as` takes text, json'],
    ['accept', 'say what is meant: a selector, --group N or --all'],
    ['accept --group 9', 'there is no group 9'],
    ['explain S1007', 'nothing is known of `S1007`; did you mean `S007`?'],
  ])('scn %s', async (line, message) => {
    const { code, err } = await place.scn(line.replace(',', ' ').split(' '))
    expect(code).toBe(2)
    if (message !== undefined) expect(err).toContain(message)
    expect(err).not.toContain(' at ') // no stack
  })

  test('help is no mistake', async () => {
    const silent = vi.spyOn(globalThis.console, 'info').mockImplementation(() => {})
    for (const words of [['--help'], ['run', '--help'], ['-h']]) expect((await place.scn(words)).code).toBe(0)
    silent.mockRestore()
  })

  test.each(['run hello.scn::helo', 'run -k nothing', 'trace hello.scn::helo', 'expand hello.scn::helo'])(
    'scn %s selects nothing: 5, and it is said',
    async (line) => {
      const { code, err } = await place.scn(line.split(' '))
      expect(code).toBe(5)
      expect(err).toContain('no case is selected')
    },
  )
})

describe('what is selected', () => {
  const listed = async (...words: string[]): Promise<string[]> => {
    const { out } = await place.scn(['list', '--json', ...words])
    return JSON.parse(out).map(({ selector }: { selector: string }) => selector)
  }
  const [one, two, nobody] = helloCases
  test.each([
    [[], helloCases],
    [['hello.scn'], helloCases],
    [['./hello.scn'], helloCases],
    [['.'], helloCases],
    [['hello.scn::hello'], [one, two]],
    [['hello.scn::hello[two]'], [two]],
    [
      ['hello.scn::hello[two]', 'hello.scn::nobody'],
      [two, nobody],
    ],
    [['hello.scn', 'hello.scn::nobody'], helloCases],
    [['-k', 'listens'], [nobody]],
    [['-k', 'port 8'], [two]],
    [['-k', 'HELLO one'], [one]],
    [
      ['-t', 'smoke'],
      [one, two],
    ],
    [
      ['-t', 'net and not slow'],
      [one, two],
    ],
    [['-t', 'not (smoke or slow)'], []],
    [['-t', 'slow or smoke', '-k', 'two'], [two]],
  ])('%j', async (words, expected) => {
    expect(await listed(...words)).toEqual(expected)
    const { out } = await place.scn(['run', '--reporter', 'json', ...words])
    const ran = JSON.parse(out).files.flatMap(({ cases }: { cases: { selector: string }[] }) =>
      cases.map(({ selector }) => selector),
    )
    expect(ran).toEqual(expected)
  })

  test('shards hold each file once', async () => {
    const own = workplace(Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((n) => [`${n}.scn`, hello()])))
    const found: string[] = []
    for (const shard of ['1/3', '2/3', '3/3']) {
      const { out } = await own.scn(['run', '--golden=new', '--reporter', 'json', '--shard', shard])
      found.push(...JSON.parse(out).files.map(({ path }: { path: string }) => path))
    }
    expect(found.toSorted()).toEqual(['a.scn', 'b.scn', 'c.scn', 'd.scn', 'e.scn'])
    own.remove()
  })

  test('bail stops after so many failures, repeat runs again, shuffle changes nothing but the order', async () => {
    const own = workplace({ 'a.scn': failing, 'b.scn': failing, 'c.scn': failing })
    const ran = async (...words: string[]): Promise<string[]> => {
      const { out } = await own.scn(['run', '--reporter', 'json', ...words], { CI: '1' })
      return JSON.parse(out).files.map(({ path }: { path: string }) => path)
    }
    expect(await ran('--bail')).toEqual(['a.scn'])
    expect(await ran('--bail', '--repeat', '1')).toEqual(['a.scn'])
    expect(await ran('--repeat', '2')).toEqual(['a.scn', 'b.scn', 'c.scn', 'a.scn', 'b.scn', 'c.scn'])
    expect(await ran('--shuffle', '--seed', '7')).toEqual(['a.scn', 'b.scn', 'c.scn'])
    own.remove()
  })

  test('the same paths with backslashes of another system never appear', async () => {
    const own = workplace({ 'deep/er/hello.scn': hello() })
    const { out } = await own.scn(['list'])
    expect(out).toContain('deep/er/hello.scn::hello[one]')
    own.remove()
  })
})

const specs = ['examples', 'specs'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.scn') && !path.startsWith('specs/syntax/')),
)

describe('fmt', () => {
  test('says what it would change, changes it, and has nothing more to say', async () => {
    const own = workplace({ 'a.scn': hello().replaceAll('\n  ', '\n      '), 'bad.scn': rejected })
    expect(await own.scn(['fmt', '--check', 'a.scn'])).toMatchObject({ code: 1, out: 'would change a.scn\n' })
    expect(await own.scn(['fmt', 'a.scn'])).toMatchObject({ code: 0, out: 'changed a.scn\n' })
    expect(await own.scn(['fmt', '--check', 'a.scn'])).toMatchObject({ code: 0, out: '' })
    const refused = await own.scn(['fmt'])
    expect(refused.code).toBe(3)
    expect(own.read('bad.scn')).toBe(rejected)
    own.remove()
  })

  test('every example and spec has its form, or takes it once', async () => {
    for (const path of specs) {
      const own = workplace({ 'a.scn': readFileSync(path, 'utf8') })
      expect((await own.scn(['fmt'])).code, path).toBe(0)
      const once = own.read('a.scn')
      expect(await own.scn(['fmt', '--check']), path).toMatchObject({ code: 0, out: '' })
      expect(own.read('a.scn')).toBe(once)
      own.remove()
    }
  })
})

/** What a program of this type answers when it lets everything pass. */
function passing(type: string): string {
  if (type.startsWith('cgroup')) return 'ALLOW'
  return type === 'xdp' ? 'XDP_PASS' : 'TC_ACT_OK'
}

describe('expand', () => {
  test('what it prints is a topology that checks, and expands to itself', async () => {
    for (const path of [...specs, 'test/fixtures/xdp-tc-codes.scn']) {
      const { code, out } = await scnIn('.', ['expand', path])
      expect(code, path).toBe(0)
      const worlds = out.split(/^(?=topology \{)/m).filter((part) => part.startsWith('topology'))
      for (const world of worlds) {
        // What the programs do is not the matter here; that they are named is.
        const programs = [...world.matchAll(/^ {2}# prog (\S+) (\S+)/gm)].map(
          ([, name, type = '']) => `prog ${name} ${type} { otherwise => ${passing(type)} }\n`,
        )
        const own = workplace({
          'a.scn': `scn 1\n\n${world}\n${programs.join('')}\nscenario idle { wait 1s }\n`,
        })
        const checked = await own.scn(['check', '--json'])
        const errors = JSON.parse(checked.out).filter(
          ({ severity }: { severity: string }) => severity === 'error',
        )
        expect(errors, `${path}\n${world}`).toEqual([])
        // Whether an external is mute follows from what the scenario does with it; what a cluster's agents decide
        // stands in remarks, and that their devices ask nobody.
        const topology = (text: string): string | undefined =>
          /^topology \{\n(?:.*\n)*?\}$/m
            .exec(text)?.[0]
            .replace(/^ +# {3}.*\n| {3}# answers nothing above ARP and ND$|, noarp$/gm, '')
            .replace(/\n\n\}$/, '\n}')
        expect(topology((await own.scn(['expand', 'a.scn'])).out), path).toBe(topology(world))
        own.remove()
      }
    }
  })
})

describe('trace', () => {
  const validate = new Ajv({ allErrors: true, strict: false }).compile(traceSchema)

  test('json follows its schema', async () => {
    for (const path of [
      'examples/02-a-router.scn',
      'examples/04-a-connection.scn',
      'test/fixtures/xdp-tc-codes.scn',
    ]) {
      const { code, out } = await scnIn('.', ['trace', path, '--as', 'json', '--level', 'full'])
      expect(code).toBe(0)
      const value: unknown = JSON.parse(out)
      for (const trace of Array.isArray(value) ? value : [value]) {
        validate(trace)
        expect(validate.errors ?? []).toEqual([])
      }
    }
  })

  test('text is what the golden holds', async () => {
    expect((await place.scn(['trace', 'hello.scn'])).out).toBe(place.read('hello.trace'))
  })

  test('mermaid, tcpdump and pcapng', async () => {
    const [selector] = helloCases
    expect((await place.scn(['trace', selector, '--as', 'mermaid'])).out).toMatch(/^sequenceDiagram\n/)
    expect((await place.scn(['trace', selector, '--as', 'tcpdump'])).out).toContain(
      'IP 10.0.0.1.4000 > 10.0.0.2.7: UDP, length 5',
    )
    const { out, code } = await place.scn(['trace', selector, '--as', 'pcapng', '-o', 'one.pcapng'])
    expect({ code, out }).toEqual({ code: 0, out: 'wrote one.pcapng\n' })
    const bytes = readFileSync(`${place.folder}/one.pcapng`)
    expect(bytes.readUInt32LE(0)).toBe(0x0a0d0d0a)
    expect(bytes.readUInt32LE(8)).toBe(0x1a2b3c4d)
  })

  test('levels tell more and more', async () => {
    const lines = async (level: string): Promise<number> =>
      (await place.scn(['trace', 'hello.scn', '--level', level])).out.split('\n').length
    const [minimal, hops, full] = [await lines('minimal'), await lines('hops'), await lines('full')]
    expect(minimal).toBeLessThan(hops)
    expect(hops).toBeLessThanOrEqual(full)
  })

  test('a file that needs an engine to come ends with 4', async () => {
    const own = workplace({ 'a.scn': clusterSpec })
    expect((await own.scn(['trace', 'a.scn'])).code).toBe(4)
    own.remove()
  })
})

describe('explain', () => {
  test('knows every code and word', async () => {
    const words = new Set([...Object.keys(syntaxCodes), ...Object.keys(modelCodes), ...pageWords()])
    for (const word of words) {
      const { code, out } = await place.scn(['explain', word])
      expect(code, word).toBe(0)
      expect(out.split('\n')[0]?.length, word).toBeGreaterThan(word.length + 4)
      expect(out, word).not.toMatch(/[ \t]$|undefined/m)
    }
  })
})

describe('list', () => {
  test('text and json name the same cases', async () => {
    const { out, code } = await place.scn(['list'])
    expect(code).toBe(0)
    expect(out).toBe(`${helloCases[0].padEnd(60)}  hello, port 7
${helloCases[1].padEnd(60)}  hello, port 8
${helloCases[2].padEnd(60)}  nobody listens
`)
    expect(JSON.parse((await place.scn(['list', '--json'])).out)[2]).toEqual({
      selector: 'hello.scn::nobody',
      title: 'nobody listens',
      tags: ['net', 'slow'],
    })
  })

  test('a file that does not check is named, the others are listed, 3', async () => {
    const own = workplace({ 'bad.scn': rejected, 'good.scn': hello() })
    const { code, out, err } = await own.scn(['list'])
    expect(code).toBe(3)
    expect(err).toContain('bad.scn does not check')
    expect(out.split('\n')).toHaveLength(4)
    own.remove()
  })
})
