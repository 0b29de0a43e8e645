// Names for numbers that must not be mixed.
declare const brand: unique symbol

/** A `T` that only its own constructor can make. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name }
