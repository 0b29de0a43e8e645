// The syntax tree of a `.scn` file: what the parser makes and the checks of `src/model` read.
//
// Plain immutable data. Every node has a `kind` and a span; nodes refer to each other by name only, hold no parents and
// no comments (comments lie beside the tree, see `File`). `null` is an optional part that is not there, `[]` a list
// without items. Closed words are string literals; a position that allows a variable is a `Word` (use `expandWord`).
import type { Program } from './ast-program.ts'
import type { Scenario } from './ast-scenario.ts'
import type { Manifest, Topology } from './ast-topology.ts'
import type { Span, Word } from './ast-words.ts'

export type * from './ast-device.ts'
export type * from './ast-expect.ts'
export type * from './ast-host.ts'
export type * from './ast-program.ts'
export type * from './ast-scenario.ts'
export type * from './ast-state.ts'
export type * from './ast-topology.ts'
export type * from './ast-traffic.ts'
export type * from './ast-words.ts'

/** One file. */
export interface File {
  readonly kind: 'file'
  readonly span: Span
  /** The language edition: the number of `scn 1`. */
  readonly edition: Word
  readonly items: readonly Item[]
}

export type Item = Doc | Import | Topology | Program | Manifest | Scenario

/** `doc "One sentence: what this file shows."` */
export interface Doc {
  readonly kind: 'doc'
  readonly span: Span
  readonly text: Word
}

/** `import "lib/two-nodes.scn" as base`. */
export interface Import {
  readonly kind: 'import'
  readonly span: Span
  readonly path: Word
  readonly name: Word
}
