// What the operator does with identities that no pod has any more: operator/identitygc crd_gc.go, heartbeat.go; in 1.10
// operator/k8s_identity.go. Times are nanoseconds.

/** Settings of the operator. */
export interface IdentityGcOptions {
  /** identity-gc-interval; 0: never. */
  readonly interval: number
  /** identity-heartbeat-timeout */
  readonly timeout: number
}

/** The collector of identities. They are known by the keys of their labels. */
export class IdentityCollector {
  readonly #options: IdentityGcOptions
  /** 1.19 marks an identity first, which is a sign of life, and deletes it when that is over. */
  readonly #marks: boolean
  readonly #lifesigns = new Map<string, number>()
  readonly #marked = new Set<string>()

  constructor(options: IdentityGcOptions, marks: boolean) {
    this.#options = options
    this.#marks = marks
  }

  /** When the next round is; undefined where there is none. */
  nextAfter(now: number): number | undefined {
    const { interval } = this.#options
    return interval === 0 ? undefined : (Math.floor(now / interval) + 1) * interval
  }

  /** Something has changed: `known` are all identities, `used` those that pods have had until now. */
  seen(now: number, known: Iterable<string>, used: ReadonlySet<string>): void {
    const { interval } = this.#options
    const lastRound = interval === 0 ? now : Math.floor(now / interval) * interval
    for (const key of known) {
      const life = this.#lifesigns.get(key) ?? now
      this.#lifesigns.set(key, used.has(key) ? Math.max(life, lastRound) : life)
    }
  }

  /** gc(): a round; the identities that are deleted. */
  collect(now: number, known: Iterable<string>, used: ReadonlySet<string>): readonly string[] {
    const deleted: string[] = []
    for (const key of known) {
      if (used.has(key)) {
        this.#lifesigns.set(key, now)
        this.#marked.delete(key)
        continue
      }
      if (now - (this.#lifesigns.get(key) ?? 0) < this.#options.timeout) continue
      if (this.#marks && !this.#marked.has(key)) {
        this.#marked.add(key)
        // the update of the object is seen as a sign of life
        this.#lifesigns.set(key, now)
        continue
      }
      deleted.push(key)
      this.#lifesigns.delete(key)
      this.#marked.delete(key)
    }
    return deleted
  }
}
