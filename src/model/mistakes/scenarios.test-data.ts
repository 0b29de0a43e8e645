// Mistakes in case tables, guards and scenarios. The marks `<|` `|>` stand around the words that are blamed.
import { file, type Row, send } from './row.test-helper.ts'

const cases = (rows: string, line = 'expect p1 ip.ttl == $ttl'): string =>
  file({ steps: `cases {\n${rows}\n  }\n  ${send}\n  ${line}` })
/** Tables and scenarios */
export const scenarios: readonly Row[] = [
  ['S111', undefined, cases('| <|nr|> | ttl |\n| a | 64 |', 'expect p1 { ip.ttl == $ttl; payload == $nr }')],
  ['S112', 'an id is one word, as in `a-b`', cases('| id | ttl |\n| <|a b|> | 64 |')],
  ['S112', 'ids differ', cases('| id | ttl |\n| <|a|> | 64 |\n| <|a|> | 63 |').replace('<|a|>', 'a')],
  [
    'S113',
    'no cell for `ttl`',
    cases('| id | src | ttl |\n<|| a | friend ||>', 'expect p1 { ip.ttl == $ttl; ip.src == $src }'),
  ],
  [
    'S113',
    'no cell for `ttl`',
    cases('| id | src | ttl |\n<|| a | 64 ||>', 'expect p1 { ip.ttl == $ttl; ip.src == $src }'),
  ],
  [
    'S114',
    'write `$src` where its value belongs, or remove the column',
    cases('| id | <|src|> | ttl |\n| a | friend | 64 |'),
  ],
  ['S117', 'did you mean `dsr`?', cases('| id | ttl |\n| dsr | 64 |', '[<|drs|>] expect p1 ip.ttl == $ttl')],
  [
    'S117',
    'this scenario has no case table',
    file({ steps: `${send}\n  expect p1 { [<|a|>] ip.ttl == 64 }` }),
  ],
  ['S130', 'move this line behind the step', file({ steps: `expect <|p1|> delivered to host\n  ${send}` })],
  ['S131', undefined, `${file({})}scenario <|idle|> { tags slow }`],
  ['S152', undefined, file({ steps: '<|reach tcp 80 from friend to friend|>' })],
  [
    'S118',
    'with a device its far end goes, and those above it; with a host all of its devices',
    file({ steps: `${send}\n  delete friend\n  <|delete friend|>` }),
  ],
]
