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

/** The claims of a case, those about answers too. */
function claimsOf({
  expectations,
}: CaseModel): readonly { readonly at?: PlaceRef; readonly body: ClaimBody }[] {
  return expectations.flatMap(({ claim }) => {
    const at = claim.at?.value
    const inner = claim.body.kind === 'reply' ? [{ body: claim.body.claim }] : []
    return [{ ...(at === undefined ? {} : { at }), body: claim.body }, ...inner]
  })
}

/** Places at which packets are looked at. */
function placesOf(model: CaseModel): readonly PlaceRef[] {
  return claimsOf(model).flatMap(({ at, body }) => [
    ...(at === undefined ? [] : [at]),
    ...(body.kind === 'place-reached' ? [body.place.value] : []),
  ])
}

/** Whether a case asks for what only level full records. */
export function needsFull(model: CaseModel): boolean {
  return (
    placesOf(model).some(({ stage }) => fullStages.has(stage)) ||
    claimsOf(model).some(({ body }) => body.kind === 'chain' || body.kind === 'rule')
  )
}

/** Devices whose tap somebody asks about: a socket is bound there, which takes nothing. */
export function tappedDevices(
  model: CaseModel,
): readonly { readonly node: string; readonly device: string }[] {
  return placesOf(model).flatMap(({ node, device, stage }) =>
    device !== undefined && (stage === 'tap-in' || stage === 'tap-out') ? [{ node, device }] : [],
  )
}
