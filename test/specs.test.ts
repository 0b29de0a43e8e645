// Every spec and example of this repository runs, and its traces are the goldens beside it.
import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { scnIn } from './support/command.ts'

/** All specs below a folder; those of specs/syntax are wrong on purpose and have a test of their own. */
function specsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.scn') && !path.startsWith('specs/syntax/'))
    .sort()
}

describe.each(['examples', 'specs'])('%s', (folder) => {
  test.each(specsBelow(folder))('%s', async (path) => {
    const { code, out, err } = await scnIn('.', ['run', '-v', path], { CI: '1' })
    expect(out).toMatch(/^ Cases {3}\d+ passed {6}Files {2}1 {6}Time/)
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  test('no golden lies there without its spec, and nothing is pending', () => {
    const strays = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
      .filter((path) => path.endsWith('.trace') && !existsSync(path.replace(/trace$/, 'scn')))
    expect(strays).toEqual([])
  })
})
