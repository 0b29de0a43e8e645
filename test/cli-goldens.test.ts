// How goldens come and go: nothing is accepted by running, nothing false is accepted at all, and two processes at once
// lose nothing.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { type AskKey, reviewCommand } from '../src/cli/commands/review.ts'
import { parseGolden } from '../src/trace/golden.ts'
import { type Workplace, workplace } from './support/command.ts'
import { hello, helloCases } from './support/hello.ts'

const [one, two, nobody] = helloCases
const open: Workplace[] = []
afterEach(() => {
  for (const place of open.splice(0)) place.remove()
})

function empty(files: Readonly<Record<string, string>>): Workplace {
  const place = workplace(files)
  open.push(place)
  return place
}

/** A folder whose golden is accepted and whose traces then change: every case is pending. */
async function changed(): Promise<Workplace> {
  const place = empty({ 'hello.scn': hello() })
  await place.scn(['run', '--golden=new'])
  place.write('hello.scn', hello(63))
  expect((await place.scn(['run'])).code).toBe(1)
  return place
}

/** The keys of a golden or pending file; it must be readable. */
function keysOf(place: Workplace, path: string): string[] {
  if (!place.files().includes(path)) return []
  const golden = parseGolden({ name: path, text: place.read(path) })
  expect(golden.diagnostics).toEqual([])
  return golden.sections.map(({ key }) => key)
}

const all = ['hello[one]', 'hello[two]', 'nobody']

describe('run', () => {
  test.each([
    ['check', 1, [], all],
    ['pending', 1, [], all],
    ['new', 0, all, []],
    ['all', 0, all, []],
  ])('--golden=%s of a new spec', async (mode, code, golden, pending) => {
    const place = empty({ 'hello.scn': hello() })
    expect((await place.scn(['run', `--golden=${mode}`])).code).toBe(code)
    expect([keysOf(place, 'hello.trace'), keysOf(place, 'hello.trace.new')]).toEqual([golden, pending])
  })

  test.each([
    ['check', 1, 'ttl 64'],
    ['pending', 1, 'ttl 64'],
    ['new', 1, 'ttl 64'],
    ['all', 0, 'ttl 63'],
  ])('--golden=%s of a changed trace', async (mode, code, shown) => {
    const place = await changed()
    expect((await place.scn(['run', `--golden=${mode}`])).code).toBe(code)
    expect(place.read('hello.trace')).toContain(shown)
    expect(keysOf(place, 'hello.trace.new')).toEqual(mode === 'all' ? [] : all)
  })

  test('CI leaves no file behind and accepts nothing', async () => {
    const place = empty({ 'hello.scn': hello() })
    expect((await place.scn(['run'], { CI: 'true' })).code).toBe(1)
    expect(place.files()).toEqual(['hello.scn'])
    expect(await place.scn(['run', '-u'], { CI: '1' })).toMatchObject({ code: 2, out: '' })
    expect(await place.scn(['accept', '--all'], { CI: '1' })).toMatchObject({ code: 2 })
    expect(place.files()).toEqual(['hello.scn'])
    expect((await place.scn(['run', '-u'])).code).toBe(0)
    expect((await place.scn(['run'], { CI: 'true' })).code).toBe(0)
    expect(place.files()).toEqual(['hello.scn', 'hello.trace'])
  })

  test('CI=false is no CI', async () => {
    const place = empty({ 'hello.scn': hello() })
    expect((await place.scn(['run', '-u'], { CI: 'false' })).code).toBe(0)
  })

  test('what is repaired is pending no longer', async () => {
    const place = await changed()
    expect(place.files()).toContain('hello.trace.new')
    place.write('hello.scn', hello())
    expect((await place.scn(['run'])).code).toBe(0)
    expect(place.files()).toEqual(['hello.scn', 'hello.trace'])
  })

  test('a run of one case keeps what is pending for the others', async () => {
    const place = await changed()
    await place.scn(['run', two])
    expect(keysOf(place, 'hello.trace.new')).toEqual(all)
    await place.scn(['run', '-k', 'listens', '--golden=all'])
    expect(keysOf(place, 'hello.trace.new')).toEqual(all.slice(0, 2))
  })

  test('obsolete sections fail a complete run and no other, and go when the file is accepted', async () => {
    const place = empty({ 'hello.scn': hello() })
    await place.scn(['run', '--golden=new'])
    place.write('hello.scn', hello().replace(/^.*two.*\n/m, ''))
    expect(await place.scn(['run', 'hello.scn::hello'])).toMatchObject({ code: 0 })
    expect(await place.scn(['run', '-k', 'hello'])).toMatchObject({ code: 0 })
    const { code, out } = await place.scn(['run'])
    expect(code).toBe(1)
    expect(out).toContain('OBSOLETE  hello.scn › hello [two]')
    expect(await place.scn(['accept', 'hello.scn'])).toMatchObject({ code: 0, out: 'accepted 1\n' })
    expect(keysOf(place, 'hello.trace')).toEqual(['hello[one]', 'nobody'])
    expect((await place.scn(['run'])).code).toBe(0)
  })

  test('the order of sections is that of the spec, wherever a case was put in', async () => {
    const place = empty({ 'hello.scn': hello() })
    await place.scn(['run', '--golden=new', nobody])
    await place.scn(['run', '--golden=new', two])
    await place.scn(['run', '--golden=new', one])
    expect(keysOf(place, 'hello.trace')).toEqual(all)
  })

  test('a golden with CRLF line ends compares equal', async () => {
    const place = empty({ 'hello.scn': hello() })
    await place.scn(['run', '--golden=new'])
    place.write('hello.trace', place.read('hello.trace').replaceAll('\n', '\r\n'))
    expect((await place.scn(['run'])).code).toBe(0)
  })
})

describe('a golden that cannot be read', () => {
  const conflicted = async (): Promise<{ readonly place: Workplace; readonly text: string }> => {
    const place = empty({ 'hello.scn': hello() })
    await place.scn(['run', '--golden=new'])
    const text = `${place.read('hello.trace')}<<<<<<< ours\n=======\n>>>>>>> theirs\n`
    place.write('hello.trace', text)
    return { place, text }
  }

  test('fails with its diagnostic and stays as it is', async () => {
    const { place, text } = await conflicted()
    const { code, out } = await place.scn(['run'])
    expect(code).toBe(1)
    expect(out).toContain('error[G003]: a merge left a conflict marker here')
    expect((await place.scn(['run', '--golden=new'])).code).toBe(1)
    expect(place.read('hello.trace')).toBe(text)
    expect((await place.scn(['check'])).code).toBe(3)
  })

  test('is not replaced by a part of its cases, and is by all of them', async () => {
    const { place, text } = await conflicted()
    await place.scn(['run'])
    expect(await place.scn(['accept', one])).toMatchObject({ code: 1, out: 'accepted 0, refused 1\n' })
    expect(await place.scn(['run', '-u', one])).toMatchObject({ code: 1 })
    expect(place.read('hello.trace')).toBe(text)
    expect(await place.scn(['accept', '--all'])).toMatchObject({ code: 0, out: 'accepted 3\n' })
    expect(keysOf(place, 'hello.trace')).toEqual(all)
    expect((await place.scn(['run'])).code).toBe(0)
  })
})

describe('accept and reject', () => {
  test('by selector', async () => {
    const place = await changed()
    expect(await place.scn(['accept', two])).toMatchObject({ code: 0, out: 'accepted 1\n' })
    expect(keysOf(place, 'hello.trace.new')).toEqual(['hello[one]', 'nobody'])
    expect(await place.scn(['reject', nobody])).toMatchObject({ code: 0, out: 'rejected 1\n' })
    expect(keysOf(place, 'hello.trace.new')).toEqual(['hello[one]'])
    const text = place.read('hello.trace')
    expect([...text.matchAll(/ttl (\d+)/g)].map(([, ttl]) => ttl).slice(0, 2)).toEqual(['64', '63'])
  })

  test('by scenario, by file, by folder and all', async () => {
    for (const words of [['hello.scn::hello', nobody], ['hello.scn'], ['.'], ['--all']]) {
      const place = await changed()
      expect(await place.scn(['accept', ...words])).toMatchObject({ code: 0, out: 'accepted 3\n' })
      expect(place.files()).toEqual(['hello.scn', 'hello.trace'])
      expect((await place.scn(['run'])).code).toBe(0)
    }
  })

  test('by group: pending and its JSON name the same groups', async () => {
    const place = await changed()
    const { code, out } = await place.scn(['pending', '--json'])
    expect(code).toBe(1)
    const groups: readonly { group: number; cases: readonly { selector: string; kind: string }[] }[] =
      JSON.parse(out)
    expect(groups.flatMap(({ cases }) => cases.map(({ selector }) => selector)).toSorted()).toEqual(
      [...helloCases].toSorted(),
    )
    const [first, ...others] = groups
    expect((await place.scn(['pending'])).out).toContain(`group 1: ${first?.cases.length} changed`)
    expect(await place.scn(['accept', '--group', '1'])).toMatchObject({ code: 0 })
    expect(keysOf(place, 'hello.trace.new')).toHaveLength(others.flatMap(({ cases }) => cases).length)
  })

  test('nothing is accepted while an expectation fails', async () => {
    const place = empty({ 'hello.scn': hello().replace('delivered to bob', 'delivered to alice') })
    await place.scn(['run'])
    const { code, err } = await place.scn(['accept', one])
    expect(code).toBe(1)
    expect(err).toBe(`refused ${one}: an expectation of it fails\n`)
    expect(await place.scn(['run', '-u'])).toMatchObject({ code: 1 })
    expect(keysOf(place, 'hello.trace')).toEqual(['nobody'])
  })

  test('what is pending and not true any more is refused', async () => {
    const place = await changed()
    place.write('hello.scn', hello(62))
    const { code, err, out } = await place.scn(['accept', '--all'])
    expect({ code, out }).toEqual({ code: 1, out: 'accepted 0, refused 3\n' })
    expect(err).toContain(`refused ${one}: it behaves differently by now; run again`)
    expect(place.read('hello.trace')).toContain('ttl 64')
  })

  test('a pending case that is gone is refused, and a file that is rejected accepts nothing', async () => {
    const place = await changed()
    place.write('hello.scn', hello(63).replace(/^.*two.*\n/m, ''))
    expect((await place.scn(['accept', two])).err).toContain('there is no such case any more')
    place.write('hello.scn', 'scn 1\ntopolgy\n')
    expect(await place.scn(['accept', '--all'])).toMatchObject({ code: 1 })
    expect(place.read('hello.trace')).toContain('ttl 64')
  })

  test('with nothing pending there is nothing to accept or reject', async () => {
    const place = empty({ 'hello.scn': hello() })
    await place.scn(['run', '--golden=new'])
    expect((await place.scn(['accept', '--all'])).code).toBe(5)
    expect((await place.scn(['reject', '--all'])).code).toBe(5)
    expect(await place.scn(['pending'])).toMatchObject({ code: 0, out: 'nothing is pending\n' })
    expect(await place.scn(['pending', '--json'])).toMatchObject({ code: 0, out: '[]\n' })
  })
})

describe('review', () => {
  /** Reviews with keys that are pressed one after the other; then the input ends. */
  async function review(place: Workplace, keys: string): Promise<string> {
    let text = ''
    const left = [...keys]
    const ask: AskKey = () => Promise.resolve(left.shift())
    const console = {
      out: (more: string) => {
        text += more
      },
      err: (more: string) => {
        text += more
      },
      env: {},
      cwd: place.folder,
      interactive: false,
      columns: 100,
    }
    expect(await reviewCommand({ paths: [], group: undefined }, console, ask)).toBe(0)
    return text
  }

  const last = (text: string): string | undefined => text.trimEnd().split('\n').at(-1)

  test.each([
    ['ara', '2 accepted, 1 rejected, 0 left', 0],
    ['ssa', '1 accepted, 0 rejected, 0 left', 2],
    ['A', '3 accepted, 0 rejected, 0 left', 0],
    ['R', '0 accepted, 3 rejected, 0 left', 0],
    ['aS', '1 accepted, 0 rejected, 2 left', 2],
    ['aq', '1 accepted, 0 rejected, 2 left', 2],
    ['a', '1 accepted, 0 rejected, 2 left', 2],
    ['', '0 accepted, 0 rejected, 3 left', 3],
    ['?dfoA', '3 accepted, 0 rejected, 0 left', 0],
    ['xA', '3 accepted, 0 rejected, 0 left', 0],
  ])('keys %j', async (keys, summary, pending) => {
    const place = await changed()
    expect(last(await review(place, keys))).toBe(summary)
    expect(keysOf(place, 'hello.trace.new')).toHaveLength(pending)
  })

  test('shows the difference, the new and the old text, and what the keys mean', async () => {
    const place = await changed()
    const text = await review(place, '?dfoq')
    expect(text).toContain('a accept  r reject')
    expect(text).toMatch(/^ {4}- .*ttl 64$/m)
    expect(text).toMatch(/^packet f1\.data1 .* ttl 63$/m)
    expect(text).toMatch(/^packet f1\.data1 .* ttl 64$/m)
  })

  test('g takes the whole group', async () => {
    const place = await changed()
    const groups: readonly { cases: readonly unknown[] }[] = JSON.parse(
      (await place.scn(['pending', '--json'])).out,
    )
    const size = groups[0]?.cases.length ?? 0
    expect(last(await review(place, 'gq'))).toBe(`${size} accepted, 0 rejected, ${3 - size} left`)
  })
})

describe('two runs at once', () => {
  const cases = Array.from({ length: 6 }, (_, index) => `c${index}`)
  const rows = cases.map((id, index) => `    | ${id} | ${20 + index} |`).join('\n')
  const many = (ttl: number): string =>
    hello(ttl)
      .replace(/ {4}\| one[\s\S]*? {4}\| two.*\n/, `${rows}\n`)
      .replace(/ expect f1\.data1 delivered to bob\n/, '\n')

  /** Starts `scn WORDS` as a process of its own; all of them wait for each other's start as little as they can. */
  function process_(
    place: Workplace,
    words: readonly string[],
  ): Promise<{ code: number | null; text: string }> {
    const loader = new URL('../node_modules/tsx/dist/loader.mjs', import.meta.url).href
    const main = new URL('../src/cli/main.ts', import.meta.url).pathname
    return new Promise((resolve, reject) => {
      const { CI: _, ...env } = process.env
      const child = spawn(process.execPath, ['--import', loader, main, ...words], { cwd: place.folder, env })
      let text = ''
      child.stdout.on('data', (data: Buffer) => {
        text += data.toString()
      })
      child.stderr.on('data', (data: Buffer) => {
        text += data.toString()
      })
      child.on('error', reject)
      child.on('close', (code) => resolve({ code, text }))
    })
  }

  test('accept different cases of one file: every section is there, none is pending', async () => {
    for (let round = 0; round < 2; round += 1) {
      const place = empty({ 'hello.scn': many(64) })
      await place.scn(['run'])
      const halves = [cases.slice(0, 3), cases.slice(3)]
      const ran = await Promise.all(
        halves.map((ids) => process_(place, ['accept', ...ids.map((id) => `hello.scn::hello[${id}]`)])),
      )
      expect(ran).toEqual([
        { code: 0, text: 'accepted 3\n' },
        { code: 0, text: 'accepted 3\n' },
      ])
      expect(keysOf(place, 'hello.trace')).toEqual(cases.map((id) => `hello[${id}]`))
      expect(keysOf(place, 'hello.trace.new')).toEqual(['nobody'])
      expect(place.files()).toEqual(['hello.scn', 'hello.trace', 'hello.trace.new'])
    }
  })

  test('write the same goldens: the file is whole', async () => {
    const place = empty({ 'hello.scn': many(64) })
    const ran = await Promise.all([
      process_(place, ['run', '--golden=new', '-q']),
      process_(place, ['run', '--golden=new', '-q']),
    ])
    expect(ran).toEqual([
      { code: 0, text: '' },
      { code: 0, text: '' },
    ])
    expect(keysOf(place, 'hello.trace')).toEqual([...cases.map((id) => `hello[${id}]`), 'nobody'])
    expect(place.files()).toEqual(['hello.scn', 'hello.trace'])
    expect(readFileSync(`${place.folder}/hello.trace`, 'utf8')).toMatch(/\n$/)
  })
})
