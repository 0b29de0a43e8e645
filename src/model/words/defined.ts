// Optional parts that are not there are left out, so that two models of the same text are equal.

/** A record type in which what may be undefined may be missing instead. */
export type Defined<T> = { [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key] } & {
  [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined>
}

/** The record without the keys whose value is undefined; the record itself where there are none. */
export function defined<T extends object>(record: T): Defined<T> {
  const source = record as Readonly<Record<string, unknown>>
  let missing = false
  for (const key in source) if (source[key] === undefined) missing = true
  if (!missing) return record as unknown as Defined<T>
  const copy: Record<string, unknown> = {}
  for (const key in source) if (source[key] !== undefined) copy[key] = source[key]
  return copy as Defined<T>
}
