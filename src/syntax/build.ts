// The builders that the grammar's actions call: what a rule matched goes in, a node of the tree comes out.
//
// They only put parts together; the grammar's actions are exactly one call each, so that tsc checks every node. The part
// of the builders that all others use (words, options, tests, the file) is here and in build-words.ts.
import type * as ast from './ast.ts'

export * from './build-expect.ts'
export * from './build-host.ts'
export * from './build-program.ts'
export * from './build-scenario.ts'
export * from './build-topology.ts'
export * from './build-words.ts'

export function file(span: ast.Span, edition: ast.Word, items: readonly ast.Item[]): ast.File {
  return { kind: 'file', span, edition, items }
}

export function doc(span: ast.Span, text: ast.Word): ast.Doc {
  return { kind: 'doc', span, text }
}

export function importFile(span: ast.Span, path: ast.Word, name: ast.Word): ast.Import {
  return { kind: 'import', span, path, name }
}

export function manifest(span: ast.Span, text: ast.Word): ast.Manifest {
  return { kind: 'manifest', span, text }
}
