// A card that cannot run a program in the mode asked for is the file's mistake, not a crash.
import { expect, test } from 'vitest'
import { textOf } from '../base/text.ts'
import { check } from '../model/check.ts'
import { parse } from '../syntax/parse.ts'
import { xdpRefusals } from './xdp-refusals.ts'

function refusals(host: string, attachment: string): readonly string[] {
  const text = `scn 1
topology { net lan 10.0.0.0/24; node h { ${host.replace('XDP', attachment)} } }
prog p xdp { otherwise => XDP_PASS }
scenario s "x" { wait 1s }
`
  const parsed = parse({ name: 'a.scn', text })
  if (!parsed.ok) throw new Error('it parses')
  const checked = check({ main: parsed.value, imports: new Map() })
  if (!checked.ok) throw new Error(checked.diagnostics.map((each) => each.message).join())
  return xdpRefusals(checked.value).map(({ message, span }) => `${textOf(span)}: ${message}`)
}

test.each([
  ['dev e on lan 10.0.0.1 { XDP }', 'xdp native p', []],
  ['dev e on lan 10.0.0.1 { XDP }', 'xdp p', []],
  ['dev e on lan 10.0.0.1 driver e1000e { XDP }', 'xdp generic p', []],
  ['dev e on lan 10.0.0.1 driver nfp { XDP }', 'xdp offload p', []],
  [
    'dev e on lan 10.0.0.1 driver e1000e { XDP }',
    'xdp native p',
    ['xdp native p: e1000e has no native XDP on Linux 6.18 (EOPNOTSUPP)'],
  ],
  [
    'dev e on lan 10.0.0.1 { XDP }',
    'xdp offload p',
    ['xdp offload p: mlx5_core has no offload XDP on Linux 6.18 (EOPNOTSUPP)'],
  ],
  [
    'kernel 4.8; dev e on lan 10.0.0.1 driver i40e { XDP }',
    'xdp native p',
    ['xdp native p: i40e has no native XDP on Linux 4.8 (EOPNOTSUPP)'],
  ],
])('%s with %s', (host, attachment, said) => {
  expect(refusals(host, attachment)).toEqual(said)
})
