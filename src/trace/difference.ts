// One place where the accepted trace and the actual one differ, as data.

/** `-` was accepted, `+` is what happened, ` ` is both. */
export interface DiffLine {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
  /** Line in the golden; 0 where it has none. */
  readonly row: number
}

/** One place where the two differ. */
export interface Difference {
  readonly kind: 'packet' | 'hook' | 'table' | 'order' | 'where' | 'outcome' | 'state'
  /** `f1.syn`; '' where the difference belongs to no packet. */
  readonly packet: string
  readonly node: string
  /** `eth0 tc-in`, the first column of the hook line. */
  readonly place: string
  readonly actor: string
  /** Line in the golden where it starts, or before which something is missing; 0 when the golden has no such place. */
  readonly row: number
  readonly lines: readonly DiffLine[]
}
