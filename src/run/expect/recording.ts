// How much of a run must be recorded for its expectations to have an answer: chains, rules, taps and other stations of the
// way are noted at level full only, and a claim that they were never visited must not hold because nobody looked.
import type { ClaimBody, PlaceRef } from '../../model/claim.ts'
import type { CaseModel } from '../../model/model.ts'

/** Stages that only level full records. */
const fullStages: ReadonlySet<string | undefined> = new Set([
  'nf',
  'nic',
  'irq',
  'napi',
  'alloc',
  'gro',
  'tap-in',
  'tap-out',
  'qdisc',
  'bridge',
  'neigh',
])

interface Asked {
  readonly at: PlaceRef | undefined
  readonly body: ClaimBody
}

/** Calls a function with every claim of a case, those about answers too. A table asks this of each of its cases. */
function eachClaim({ expectations }: CaseModel, visit: (asked: Asked) => void): void {
  for (const { claim } of expectations) {
    visit({ at: claim.at?.value, body: claim.body })
    if (claim.body.kind === 'reply') visit({ at: undefined, body: claim.body.claim })
  }
}

/** Calls a function with every place at which a claim looks at packets. */
function eachPlace({ at, body }: Asked, visit: (place: PlaceRef) => void): void {
  if (at !== undefined) visit(at)
  if (body.kind === 'place-reached') visit(body.place.value)
}

/** Whether a case asks for what only level full records. */
export function needsFull(model: CaseModel): boolean {
  let needs = false
  eachClaim(model, (asked) => {
    if (asked.body.kind === 'chain' || asked.body.kind === 'rule') needs = true
    eachPlace(asked, ({ stage }) => {
      if (fullStages.has(stage)) needs = true
    })
  })
  return needs
}

/** Devices whose tap somebody asks about: a socket is bound there, which takes nothing. */
export function tappedDevices(
  model: CaseModel,
): readonly { readonly node: string; readonly device: string }[] {
  const devices: { readonly node: string; readonly device: string }[] = []
  eachClaim(model, (asked) => {
    eachPlace(asked, ({ node, device, stage }) => {
      if (device !== undefined && (stage === 'tap-in' || stage === 'tap-out')) devices.push({ node, device })
    })
  })
  return devices
}
