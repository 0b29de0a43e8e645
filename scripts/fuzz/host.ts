// Hosts of a draft before they are text. Every statement is a line of its own, so that a draft can be cut line by line.

export interface DraftDevice {
  readonly name: string
  /** `on lan`, `peer R/r0`, `bridge`. */
  readonly kind: string
  readonly addresses: string[]
  readonly options: string[]
  readonly inner: string[]
}

export interface DraftHost {
  readonly name: string
  readonly devices: DraftDevice[]
  readonly lines: string[]
}

export interface Draft {
  readonly nets: string[]
  readonly hosts: DraftHost[]
  readonly programs: string[]
  readonly steps: string[]
  readonly claims: string[]
  readonly ipv6: boolean
}

export function device(name: string, kind: string, ...addresses: readonly string[]): DraftDevice {
  return { name, kind, addresses: [...addresses], options: [], inner: [] }
}

export function host(name: string, devices: readonly DraftDevice[], ...lines: readonly string[]): DraftHost {
  return { name, devices: [...devices], lines: [...lines] }
}

/** All addresses of a draft without their lengths, by family. */
export function addressesOf(draft: Draft, family: 4 | 6): string[] {
  const all = draft.hosts.flatMap(({ devices }) => devices.flatMap(({ addresses }) => addresses))
  return all.map((text) => text.replace(/\/.*/, '')).filter((text) => text.includes(':') === (family === 6))
}

function deviceLines({ name, kind, addresses, options, inner }: DraftDevice): string[] {
  const words = kind.startsWith('peer') ? [...addresses, kind] : [kind, ...addresses]
  const head = `    dev ${[name, ...words, ...options].join(' ')}`
  if (inner.length === 0) return [head]
  return [`${head} {`, ...inner.map((line) => `      ${line}`), '    }']
}

/** A draft as the text of a spec. */
export function textOfDraft(draft: Draft, title: string): string {
  const lines = ['scn 1', '', `doc "${title}"`, '', 'topology {', ...draft.nets.map((line) => `  ${line}`)]
  for (const { name, devices, lines: own } of draft.hosts) {
    lines.push(`  node ${name} {`, ...devices.flatMap(deviceLines))
    lines.push(...own.map((line) => `    ${line}`), '  }')
  }
  lines.push('}', '', ...draft.programs, 'scenario found "model and kernel" {')
  lines.push(...draft.steps.map((line) => `  ${line}`), ...draft.claims.map((line) => `  ${line}`), '}', '')
  return lines.join('\n')
}
