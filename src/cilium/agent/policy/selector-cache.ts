// Which identities a selector chooses. Each selector is asked once; of label selectors only the identities that have one of
// its labels are looked at (cilium pkg/policy/selectorcache.go).
import type { Identity } from '../identity.ts'
import { type Selector, selects } from './selector.ts'

/** Identities with an index of their labels. */
export class SelectorCache {
  readonly #identities: readonly Identity[]
  readonly #byLabel = new Map<string, Identity[]>()
  readonly #known = new Map<string, readonly number[]>()

  constructor(identities: readonly Identity[]) {
    this.#identities = identities
    for (const identity of identities) {
      for (const { key, value } of identity.labels) {
        const label = `${key}=${value}`
        const list = this.#byLabel.get(label)
        if (list === undefined) this.#byLabel.set(label, [identity])
        else list.push(identity)
      }
    }
  }

  /** The numbers of the chosen identities, ascending. */
  select(selector: Selector): readonly number[] {
    const known = this.#known.get(selector.key)
    if (known !== undefined) return known
    const chosen = this.#candidates(selector).filter(({ labels }) => selects(selector, labels))
    const ids = [...new Set(chosen.map(({ id }) => id))].sort((left, right) => left - right)
    this.#known.set(selector.key, ids)
    return ids
  }

  #candidates(selector: Selector): readonly Identity[] {
    if (selector.kind === 'fqdn') return this.#byLabel.get(`${selector.match}=`) ?? []
    if (selector.kind === 'cidr') return this.#identities
    let fewest = this.#identities
    for (const { operator, values, key } of selector.requirements) {
      if (operator !== 'In' || values.length !== 1) continue
      const found = this.#byLabel.get(`${key}=${values[0]}`) ?? []
      if (found.length < fewest.length) fewest = found
    }
    return fewest
  }
}
