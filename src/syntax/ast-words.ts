// The leaves of the syntax tree: words, places, endpoints, options, tests. Every other node is made of them.
//
// A leaf keeps what the person wrote. What a word means (a number, an address, a name of something) is decided by the
// checks of `src/model`, because a word may hold variables whose value differs in every case of a table.
import type { Span } from '../base/text.ts'

export type { Span } from '../base/text.ts'

/** A variable inside a word or string: `$mode`, `${n}`. `name` is without the sign and braces. */
export interface VariablePart {
  readonly span: Span
  readonly name: string
}

/**
 * One word, quoted string or `"""` block. `text` is its value: escapes resolved, quotes gone, variables still written as
 * variables. `parts` is empty unless the text holds variables; then it is the text in pieces, in order
 * (see `expandWord` in words.ts). An unquoted `-` is the word for "nothing".
 */
export interface Word {
  readonly kind: 'word'
  readonly span: Span
  readonly text: string
  readonly form: 'bare' | 'quoted' | 'block'
  readonly parts: readonly (string | VariablePart)[]
}

/** `name value value`: one option of a statement (`via 10.0.0.1`, `mtu 1400`, `onlink`). `span` covers name and values. */
export interface Option<Name extends string = string> {
  readonly kind: 'option'
  readonly span: Span
  readonly name: Name
  readonly values: readonly Word[]
}

/** A path of names with `/` between: `n1/eth0/xdp`, `n1/nf/nat/PREROUTING`, `web`. Each segment may hold variables. */
export interface Place {
  readonly kind: 'place'
  readonly span: Span
  readonly segments: readonly Word[]
}

/** One end of traffic: `client:40000`, `svc/web:80`, `10.2.0.2:$dport`, `[fd00::1]:80`, `n1`. `host` is without brackets. */
export interface Endpoint {
  readonly kind: 'endpoint'
  readonly span: Span
  readonly host: Word
  readonly port: Word | null
}

/** `app=web`; in a selector as well as in a label list. */
export interface Label {
  readonly kind: 'label'
  readonly span: Span
  readonly key: Word
  readonly value: Word
}

/** A field of a packet or its metadata, from the closed list of the grammar: `ip.ttl`, `outer.udp.dport`, `mark`. */
export interface Field {
  readonly kind: 'field'
  readonly span: Span
  readonly path: string
}

/** `counters[ip.proto]`: the entry of a map. */
export interface MapEntry {
  readonly kind: 'map-entry'
  readonly span: Span
  readonly map: Word
  readonly key: Expr
}

/** `ip.ttl - 1`: left-associative, no precedence between the operators, no brackets. */
export interface Arithmetic {
  readonly kind: 'arithmetic'
  readonly span: Span
  readonly operator: '+' | '-' | '&' | '|' | '^' | '<<' | '>>'
  readonly left: Expr
  readonly right: Expr
}

/** `[80, 443]`. */
export interface List {
  readonly kind: 'list'
  readonly span: Span
  readonly items: readonly Expr[]
}

export type Expr = Field | MapEntry | Arithmetic | List | Word

export type CompareOperator = '==' | '!=' | '<=' | '>=' | '<' | '>' | 'in' | 'matches'

/** `ip.src == n1`, `ip.src in deny`, `tcp.dport in [80, 443]`, `ip.src in 10.0.0.0/8`. The right side of `in` may be a map's name. */
export interface Compare {
  readonly kind: 'compare'
  readonly span: Span
  readonly left: Expr
  readonly operator: CompareOperator
  readonly right: Expr
}

/** `not TEST`. */
export interface Not {
  readonly kind: 'not'
  readonly span: Span
  readonly test: Test
}

/** `A and B and C`, `A or B`: two or more tests. */
export interface Junction {
  readonly kind: 'and' | 'or'
  readonly span: Span
  readonly tests: readonly Test[]
}

/** A field alone: the layer or the value is there and not 0 (`vlan`, `tcp`, `ip.frag`). */
export interface Present {
  readonly kind: 'present'
  readonly span: Span
  readonly field: Field
}

export type Test = Compare | Not | Junction | Present
