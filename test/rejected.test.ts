// Every mistake of a person, shown once. Beside each file of specs/syntax lies what the command says of it: read these
// files to learn how mistakes are told. `SCN_UPDATE=1` writes them anew; what changed is reviewed like any golden.
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { modelCodes } from '../src/model/codes.ts'
import { syntaxCodes } from '../src/syntax/codes.ts'
import { goldenCodes } from '../src/trace/golden-report.ts'
import { scnIn, type Workplace, workplace } from './support/command.ts'

const folder = 'specs/syntax'
const update = process.env['SCN_UPDATE'] === '1'

/** Compares with the file that lies beside a spec, or writes it. */
function expectBeside(path: string, text: string): void {
  if (update) writeFileSync(path, text)
  expect(text).toBe(existsSync(path) ? readFileSync(path, 'utf8') : '')
}

const specsIn = (name: string): string[] =>
  readdirSync(`${folder}/${name}`)
    .filter((file) => file.endsWith('.scn'))
    .map((file) => file.replace(/\.scn$/, ''))
    .sort()

/** Files that nobody wants in a repository are made here. */
const made: Readonly<Record<string, (place: Workplace, file: string) => void>> = {
  'a-binary-file': (place, file) => place.write(file, '\u007fELF\u0002\u0001\u0001\0\0\0\0\0\0\0\0\0'),
  'a-file-of-ten-megabytes': (place, file) =>
    place.write(file, `scn 1\n${'# the same line again and again\n'.repeat(330_000)}`),
  'a-file-of-mistakes': (place, file) =>
    place.write(file, `scn 1\n\ntopology {\n${'  nett lan 10.1.0.0/24\n'.repeat(60)}}\n`),
  'a-link-that-leads-nowhere': (place, file) => symlinkSync('gone.scn', `${place.folder}/${file}`),
}

/** Files that others import, and that are as wrong by themselves. */
const imported = ['lib/tiers', 'lib/two-tiers']

describe('rejected', () => {
  test.each([...specsIn('rejected'), ...imported])('%s', async (name) => {
    const { code, out, err } = await scnIn(`${folder}/rejected`, ['check', `${name}.scn`])
    expectBeside(`${folder}/rejected/${name}.diagnostics`, out)
    expect({ code, err }).toEqual({ code: /^error\[/m.test(out) ? 3 : 0, err: '' })
    expect(out).toMatch(/^(error|warning)\[/)
  })

  test.each(Object.entries(made))('%s', async (name, make) => {
    const place = workplace()
    make(place, `${name}.scn`)
    const started = performance.now()
    const { code, out } = await place.scn(['check', '.'])
    expect(performance.now() - started).toBeLessThan(20_000) // a loaded machine is slow; a hang is endless
    place.remove()
    expectBeside(`${folder}/rejected/${name}.diagnostics`, out)
    expect(code).toBe(3)
  })

  test('a file that is rejected does not keep others from being checked and run', async () => {
    const place = workplace({
      'bad.scn': readFileSync(`${folder}/rejected/a-port-of-70000.scn`, 'utf8'),
      'good.scn': readFileSync('examples/01-first-packet.scn', 'utf8'),
    })
    const { code, out } = await place.scn(['run', '--golden=new'])
    expect(out).toContain('2 passed  1 failed  2 new  1 file rejected')
    expect(out).toContain('`70000` is out of range')
    expect({ code, files: place.files() }).toEqual({
      code: 3,
      files: ['bad.scn', 'good.scn', 'good.trace'],
    })
    place.remove()
  })

  test('small files, as a person writes them', () => {
    const long = specsIn('rejected').filter(
      (name) => readFileSync(`${folder}/rejected/${name}.scn`, 'utf8').split('\n').length > 26,
    )
    expect(long).toEqual([])
  })
})

describe('goldens', () => {
  test.each(specsIn('goldens'))('%s', async (name) => {
    const before = readFileSync(`${folder}/goldens/${name}.trace`, 'utf8')
    const { code, out } = await scnIn(`${folder}/goldens`, ['check', `${name}.scn`])
    expectBeside(`${folder}/goldens/${name}.diagnostics`, out)
    expect(code).toBe(3)
    const ran = await scnIn(`${folder}/goldens`, ['run', `${name}.scn`], { CI: '1' })
    expect(ran.code).toBe(1)
    expect(ran.out).toContain(out.split('\n')[0])
    expect(readFileSync(`${folder}/goldens/${name}.trace`, 'utf8')).toBe(before)
  })
})

describe('failing', () => {
  test.each(specsIn('failing'))('%s', async (name) => {
    const { code, out } = await scnIn(`${folder}/failing`, ['run', '-q', `${name}.scn`], { CI: '1' })
    expectBeside(`${folder}/failing/${name}.report`, out)
    expect(code).toBe(1)
  })
})

test('every code of every catalogue is shown', () => {
  const shown = new Set<string>()
  for (const each of ['rejected', 'goldens']) {
    for (const file of readdirSync(`${folder}/${each}`)) {
      if (!file.endsWith('.diagnostics')) continue
      const text = readFileSync(`${folder}/${each}/${file}`, 'utf8')
      for (const [, code = ''] of text.matchAll(/^(?:error|warning)\[(\w+)\]/gm)) shown.add(code)
    }
  }
  const all = [...Object.keys(syntaxCodes), ...Object.keys(modelCodes), ...Object.values(goldenCodes), 'F001']
  expect(all.filter((code) => !shown.has(code))).toEqual([])
})

test('nothing lies there without its file', () => {
  const known = new Set([...specsIn('rejected'), ...Object.keys(made)])
  const orphans = readdirSync(`${folder}/rejected`)
    .filter((file) => file.endsWith('.diagnostics'))
    .filter((file) => !known.has(file.replace(/\.diagnostics$/, '')))
  expect(orphans).toEqual([])
})
