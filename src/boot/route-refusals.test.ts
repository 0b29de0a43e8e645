// A route that other routes and rules of its host make impossible is the file's mistake, not a crash.
import { expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import { check } from '../model/check.ts'
import { parse } from '../syntax/parse.ts'
import { routeRefusals } from './route-refusals.ts'

function refusals(lines: string): readonly string[] {
  const text = `scn 1
topology { net lan 10.1.0.0/24; net back 10.2.0.0/24; node h { dev e on lan 10.1.0.2; dev f on back 10.2.0.2; ${lines} } }
scenario s "x" { wait 1s }
`
  const parsed = parse({ name: 'a.scn', text })
  if (!parsed.ok) throw new Error('it parses')
  const checked = check({ main: parsed.value, imports: new Map() })
  if (!checked.ok) throw new Error(checked.diagnostics.map((each) => each.message).join())
  return routeRefusals(checked.value).map(({ message, span }) => `${textOf(span)}: ${message}`)
}

test.each([
  ['route default via 10.1.0.1', []],
  ['route 10.9.0.0/16 via 10.1.0.1; route default via 10.1.0.1; rule pref 10 to 10.9.0.0/16 blackhole', []],
  // a gateway is looked for among neighbours: a route of scope universe is none of these
  [
    'rule pref 10 to 10.1.0.0/16 lookup 100; route unreachable table 100 10.1.0.1/32; route 10.9.0.0/16 via 10.1.0.1',
    [],
  ],
  [
    'rule pref 10 to 10.1.0.0/16 unreachable; route 10.9.0.0/16 via 10.1.0.1; route default via 10.2.0.1',
    ['route 10.9.0.0/16 via 10.1.0.1: the kernel refuses this route (ENETUNREACH)'],
  ],
])('%s', (lines, said) => {
  expect(refusals(lines)).toEqual(said)
})
