// Restates the actions of grammar/*.peggy as TypeScript, so that tsc checks the grammar. Run by `npm run grammar`.
//
// One convention makes this possible: an action is exactly `return b.something(range(), labels...)`, so the type of a
// rule is the return type of its builder, whatever the rule recurses into.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import peggy from 'peggy'
import { grammarParts } from './build-grammar.ts'

/** The part of Peggy's grammar tree that decides what a rule matches to. */
interface Expression {
  readonly type: string
  readonly name?: string
  readonly label?: string | null
  readonly pick?: boolean
  readonly value?: string
  readonly ignoreCase?: boolean
  readonly code?: string
  readonly expression?: Expression
  readonly alternatives?: readonly Expression[]
  readonly elements?: readonly Expression[]
}

// Peggy's own parser, before its passes: they would join one-letter literals to classes and lose their types.
const rules: readonly Expression[] = grammarParts().flatMap(
  ({ text }) =>
    peggy.parser.parse(text, { reservedWords: [] }).rules as readonly unknown[] as readonly Expression[],
)
const ruleNamed = new Map(rules.map((rule) => [rule.name, rule]))

function builderOf(action: Expression): string {
  const code = action.code?.trim() ?? ''
  const builder = /^return (b\.\w+)\(range\(\)[^()]*\);$/.exec(code)?.[1]
  if (builder === undefined)
    throw new Error(`an action must be \`return b.something(range(), ...);\`, not \`${code}\``)
  return builder
}

function sequenceTypes(elements: readonly Expression[], passing: ReadonlySet<string>): string[] {
  const picked = elements.filter((element) => element.pick)
  const only = picked[0]
  if (only !== undefined && picked.length === 1) return alternatives(only, passing)
  return [`[${(picked.length > 0 ? picked : elements).map((element) => union(element)).join(', ')}]`]
}

/** Every type an expression may match to, looking through rules that only pass a value on. */
function alternatives(expr: Expression | undefined, passing: ReadonlySet<string> = new Set()): string[] {
  if (expr === undefined) throw new Error('the grammar tree has an unknown shape')
  switch (expr.type) {
    case 'rule':
    case 'named':
    case 'group':
    case 'labeled':
      return alternatives(expr.expression, passing)
    case 'rule_ref': {
      const name = expr.name ?? ''
      return passing.has(name) ? [] : alternatives(ruleNamed.get(name), new Set([...passing, name]))
    }
    case 'choice':
      return (expr.alternatives ?? []).flatMap((each) => alternatives(each, passing))
    case 'literal':
      return [expr.ignoreCase ? 'string' : JSON.stringify(expr.value)]
    case 'text':
    case 'class':
    case 'any':
      return ['string']
    case 'optional':
      return [...alternatives(expr.expression, passing), 'null']
    case 'zero_or_more':
    case 'one_or_more':
    case 'repeated':
      return [`readonly (${union(expr.expression)})[]`]
    case 'simple_and':
    case 'simple_not':
      return ['undefined']
    case 'sequence':
      return sequenceTypes(expr.elements ?? [], passing)
    case 'action':
      return [`ReturnType<typeof ${builderOf(expr)}>`]
    default:
      throw new Error(`check-grammar: unknown expression ${expr.type}`)
  }
}

function union(expr: Expression | undefined): string {
  return [...new Set(alternatives(expr))].join(' | ')
}

/** The actions below an expression, each restated as a function of its labels. */
function actionsIn(expr: Expression): string[] {
  const children = [expr.expression, ...(expr.alternatives ?? []), ...(expr.elements ?? [])]
  const below = children.flatMap((child) => (child === undefined ? [] : actionsIn(child)))
  if (expr.type !== 'action' || expr.expression === undefined) return below
  const inner = expr.expression
  const labelled = (inner.type === 'sequence' ? (inner.elements ?? []) : [inner]).filter((part) => part.label)
  const params = labelled.map((part) => `${part.label}: ${union(part)}`)
  const action = `;(${params.join(', ')}): ReturnType<typeof ${builderOf(expr)}> => {${expr.code}}`
  return [action, ...below]
}

const start = union(rules[0])
const check = `// generated from grammar/*.peggy by scripts/check-grammar.ts; only tsc reads it
import type * as ast from '../src/syntax/ast.ts'
import * as b from '../src/syntax/build.ts'

declare const range: () => ast.Span
${rules.flatMap(actionsIn).join('\n')}
;(parsed: ${start}): ast.File => parsed
`
writeFileSync(join(import.meta.dirname, '..', 'grammar', 'scn.check.ts'), check)
