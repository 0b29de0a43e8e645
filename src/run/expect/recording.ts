// How much of a run must be recorded for its expectations to have an answer: chains and rules are noted at level full only,
// and a claim that they were never visited must not hold because nobody looked.
import type { ClaimBody } from '../../model/claim.ts'
import type { CaseModel } from '../../model/model.ts'

function asksOfRules(body: ClaimBody): boolean {
  switch (body.kind) {
    case 'chain':
    case 'rule':
      return true
    case 'reply':
      return asksOfRules(body.claim)
    case 'place-reached':
      return body.place.value.stage === 'nf'
    default:
      return false
  }
}

/** Whether a case asks for what only level full records. */
export function needsFull({ expectations }: CaseModel): boolean {
  return expectations.some(({ claim }) => claim.at?.value.stage === 'nf' || asksOfRules(claim.body))
}
