// Colours as a value: reports ask for meaning, the command line decides whether anything is coloured.

/** What a piece of text means. Without colours every function answers its argument. */
export interface Paint {
  readonly error: (text: string) => string
  readonly warning: (text: string) => string
  readonly good: (text: string) => string
  readonly strong: (text: string) => string
  readonly faint: (text: string) => string
  readonly added: (text: string) => string
  readonly removed: (text: string) => string
}

const same = (text: string): string => text

/** No colours: what a pipe, a file and a test see. */
export const plain: Paint = {
  error: same,
  warning: same,
  good: same,
  strong: same,
  faint: same,
  added: same,
  removed: same,
}
