// The direction of imports: what each folder of src may import besides itself. The language column and the world
// column do not know each other; they meet in boot and run.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const mayImport: Readonly<Record<string, string>> = {
  base: '',
  net: 'base',
  trace: 'base net',
  syntax: 'base net',
  model: 'base net trace syntax',
  bpf: 'base net trace',
  kernel: 'base net trace bpf', // no word of the scenario language, no word of Cilium
  app: 'base net kernel', // programs that talk over sockets: web and name servers
  cni: 'base net trace kernel bpf', // plans of plugins; who boots carries them out
  cluster: 'base net', // Kubernetes objects: what agents and proxies are told
  cilium: 'base net trace kernel bpf app cluster', // Cilium's datapath and its agent, a client of kernel and bpf
  boot: 'base net trace model syntax bpf kernel app cni cluster cilium',
  run: 'base net trace syntax model bpf kernel app boot cilium',
  report: 'base net trace syntax model run',
  oracle: 'base net trace syntax model bpf kernel app boot run', // the real kernel as a second opinion
  cli: 'base net trace syntax model boot run report oracle',
}

/** Only these may import `node:*` (tests and scripts too). */
const touchesNode = new Set(['cli', 'oracle', 'vitest'])

const folderOf = (path: string): string => path.split('/')[1] ?? ''

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => join('src', name).replaceAll('\\', '/'))

/** Every import of a file: `from '...'` and dynamic `import('...')`. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  return [...text.matchAll(/(?:from |import\()'([^']+)'/g)].map((match) => match[1] ?? '')
}

test('there is something to guard', () => {
  expect(files.length).toBeGreaterThan(50)
})

test('every folder of src has a rule', () => {
  expect(
    [...new Set(files.filter((path) => path.split('/').length > 2).map(folderOf))].filter(
      (name) => !(name in mayImport),
    ),
  ).toEqual([])
})

test('every folder of src imports only what it may', () => {
  const forbidden = files.flatMap((from) =>
    importsOf(from)
      .filter((target) => target.startsWith('.'))
      .map((target) => normalize(join(dirname(from), target)))
      .filter((to) => folderOf(to) !== folderOf(from))
      .filter((to) => !(mayImport[folderOf(from)] ?? '').split(' ').includes(folderOf(to)))
      .map((to) => `${from} imports ${to}`),
  )
  expect(forbidden).toEqual([])
})

test('only the command line touches Node', () => {
  const forbidden = files.filter(
    (path) => !touchesNode.has(folderOf(path)) && importsOf(path).some((name) => name.startsWith('node:')),
  )
  expect(forbidden).toEqual([])
})
