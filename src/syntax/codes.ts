// The catalogue of syntax codes: what `scn explain S0xx` says, and the one way to make such a diagnostic.
import type { Diagnostic, Fix } from '../base/diagnostic.ts'
import type { Span } from '../base/text.ts'

/** A page of the catalogue. `example` shows the mistake; `better` how it is written. */
export interface CodePage {
  readonly title: string
  readonly explanation: string
  readonly example: string
  readonly better: string
}

export type SyntaxCode = keyof typeof syntaxCodes

/** Every code of this folder. */
export const syntaxCodes = {
  S001: {
    title: 'something else is expected here',
    explanation:
      'The words up to the caret are a right beginning, but the language has no statement that goes on like this. ' +
      'The hint lists what may stand at the caret. Statements end at the end of the line or at `;`.',
    example: 'route default through 10.2.0.1',
    better: 'route default via 10.2.0.1',
  },
  S002: {
    title: 'an unknown word',
    explanation:
      'Statements, options, fields and verdict words come from closed lists; a word that is not in the list is never ' +
      'ignored, because a mistyped check that silently disappears is the worst failure of a test tool.',
    example: 'ip.tll == 63',
    better: 'ip.ttl == 63',
  },
  S003: {
    title: 'a sign with another meaning',
    explanation:
      'Three arrows have three meanings everywhere: `A > B` is traffic, `A -> B` is a rewrite or a mapping, `=>` is the ' +
      "program's decision. `==` compares, `=` sets.",
    example: 'dnat svc/web:80 > web-1:8080',
    better: 'dnat svc/web:80 -> web-1:8080',
  },
  S004: {
    title: 'a brace that is never closed',
    explanation: 'Every `{` needs its `}`. Until it is there, nothing after it can be judged.',
    example: 'topology {',
    better: 'topology { }',
  },
  S005: {
    title: 'a closing brace without an opening one',
    explanation: 'There is one `}` more than `{` up to this place.',
    example: 'node n1 { } }',
    better: 'node n1 { }',
  },
  S006: {
    title: 'a string without its end',
    explanation: 'A string begins and ends with `"` on one line. Several lines stand in a `"""` block.',
    example: 'doc "What this file shows.',
    better: 'doc "What this file shows."',
  },
  S007: {
    title: 'a block without its end',
    explanation: 'A `"""` block goes on until the next `"""`. Nothing inside is looked at.',
    example: 'manifest """',
    better: 'manifest """\nkind: Pod\n"""',
  },
  S008: {
    title: 'the language edition is missing',
    explanation:
      'The first line of a file is `scn 1`: the edition of the language in which the file is written.',
    example: 'topology { }',
    better: 'scn 1\n\ntopology { }',
  },
  S009: {
    title: 'an unknown language edition',
    explanation: 'This version of the tool reads edition 1. A file of a later edition needs a newer version.',
    example: 'scn 2',
    better: 'scn 1',
  },
  S010: {
    title: 'an empty file',
    explanation: 'There is nothing in the file. A file begins with `scn 1`.',
    example: '',
    better: 'scn 1',
  },
  S011: {
    title: 'not a text file',
    explanation:
      'The file holds bytes that are not UTF-8 text. Perhaps it is an object file with a wrong name.',
    example: '(binary)',
    better: 'scn 1',
  },
  S012: {
    title: 'a file that is too large',
    explanation: 'A file may have 2 MiB. Split it: `import` brings names of other files in.',
    example: '(10 MB)',
    better: 'import "lib/two-nodes.scn" as base',
  },
  S013: {
    title: 'words after the end of a statement',
    explanation:
      'The statement is complete, and what follows does not belong to it. A new statement needs a new line or `;`.',
    example: 'wait 30s please',
    better: 'wait 30s',
  },
  S014: {
    title: 'a statement that stops too early',
    explanation: 'The line ends where the statement needs more. The hint says what is missing.',
    example: 'net lan',
    better: 'net lan 10.1.0.0/24',
  },
  S015: {
    title: 'a table row that is not closed',
    explanation: 'A row of a case table begins and ends with `|`. A cell that holds `|` or `#` is quoted.',
    example: '| id | port',
    better: '| id | port |',
  },
  S017: {
    title: 'too many mistakes',
    explanation: 'The rest of the file was not judged. Mend what is shown first.',
    example: '',
    better: '',
  },
  S018: {
    title: 'brackets nested too deep',
    explanation: 'Brackets may be nested 32 deep; no statement needs more than a few.',
    example: '((((((((((((((((((((((((((((((((((ip.ttl == 1))))))))))))))))))))))))))))))))))',
    better: 'ip.ttl == 1',
  },
} as const satisfies Readonly<Record<string, CodePage>>

/** Makes an error of this folder. */
export function syntaxError(
  code: SyntaxCode,
  span: Span,
  message: string,
  hint?: string,
  fix?: Fix,
): Diagnostic {
  return {
    code,
    severity: 'error',
    span,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(fix === undefined ? {} : { fix }),
  }
}
