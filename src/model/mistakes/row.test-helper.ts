// What the lists of mistakes in this folder are made of.

/** The code, the hint where one counts, and a text with marks around the words that are blamed. */
export type Row = readonly [code: string, hint: string | undefined, marked: string]

/** A file around the part that a test is about. */
export function file(parts: {
  readonly topology?: string
  readonly rest?: string
  readonly steps?: string
}): string {
  return `scn 1
topology {
  net lan 10.1.0.0/24
  external friend on lan 10.1.0.50
  node host { dev eth0 on lan 10.1.0.1 }
  ${parts.topology ?? ''}
}
${parts.rest ?? ''}
scenario s {
  ${parts.steps ?? 'p1: packet udp friend:1 > host:2 on host/eth0'}
}
`
}

/** A step that is right. */
export const send = 'p1: packet tcp friend:1 > host:80 on host/eth0'
