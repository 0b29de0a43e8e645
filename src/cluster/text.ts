// Kubernetes manifests are text that somebody wrote: what is wrong with them has a place in that text.

/** A half-open range of offsets in the text. */
export interface Range {
  readonly start: number
  readonly end: number
}

/**
 * Something wrong with a manifest. `error`: kubectl, the API server or the agent refuses the object. `warning`: it is
 * accepted and does not do what it seems to say. `later`: right, but nothing carries it out yet.
 */
export interface Mistake extends Range {
  readonly severity: 'error' | 'warning' | 'later'
  readonly message: string
  readonly hint?: string
}

/** Where an object was written: the whole, and the name and value of each of its fields. */
export interface Written {
  readonly whole: Range
  readonly keys: ReadonlyMap<string, Range>
  readonly values: ReadonlyMap<string, Range>
}

/** Places of objects that were read, for mistakes that are seen only when everything is known. */
export type Places = WeakMap<object, Written>
