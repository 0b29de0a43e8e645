// Says what a recorded run has that this reader does not know: better than to play it without.
import type { RecordedSetup } from './case.ts'

const known = {
  list: ['config', 'cases'],
  scenario: ['name', 'config', 'steps', 'services', 'policy', 'maps'],
  setup: ['name', 'config', 'services', 'policy', 'maps', 'packets'],
  service: ['vip', 'port', 'proto', 'backends', 'revnat', 'flags', 'flags2', 'nodes'],
  policy: ['pod', 'host', 'clear', 'dir', 'identity', 'proto', 'dport', 'proxy_port', 'deny'],
  map: ['node', 'map', 'key', 'value'],
  step: ['title', 'where', 'at', 'dev', 'frame', 'frame_text', 'timeline', 'maps'],
  change: ['op', 'map', 'entry'],
} as const

/** The names of an object that are not known. */
export function unknownNames(kind: keyof typeof known, value: object | undefined): string[] {
  const names: readonly string[] = known[kind]
  return Object.keys(value ?? {})
    .filter((name) => !names.includes(name))
    .map((name) => `${kind}: ${name}`)
}

function each(kind: keyof typeof known, values: readonly object[]): string[] {
  return values.flatMap((value) => unknownNames(kind, value))
}

/** A packet says in plain words what its frame is; something with parts of its own would change the node. */
function changing(packet: object, at: number): string[] {
  return Object.entries(packet)
    .filter(([name, value]) => ['wait', 'sleep', 'seconds'].includes(name) || hasParts(value))
    .map(([name]) => `packet ${at + 1}: ${name}`)
}

function hasParts(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((part) => typeof part === 'object')
  return typeof value === 'object' && value !== null
}

/** What of a set-up is not known. */
export function unknownSetup(setup: RecordedSetup, beside: object | undefined): string[] {
  const packets = ((beside ?? {}) as { readonly packets?: readonly object[] }).packets ?? []
  return [
    ...unknownNames('setup', beside),
    ...each('service', setup.services),
    ...each('policy', setup.policy),
    ...each('map', setup.maps),
    ...packets.flatMap(changing),
  ]
}

/** What of the steps is not known. */
export function unknownSteps(steps: readonly { readonly maps: readonly object[] }[]): string[] {
  return [...each('step', steps), ...steps.flatMap(({ maps }) => each('change', maps))]
}
