// What a decoder answers when bytes are not what they claim to be. A malformed packet is a packet's fate, never an exception.

/** Why bytes could not be decoded: one lower-case sentence that starts with the protocol. */
export interface Malformed {
  readonly malformed: string
}

/** The answer of a decoder that gives up. */
export function malformed(reason: string): Malformed {
  return { malformed: reason }
}

/** Whether a decoder gave up. */
export function isMalformed<T extends object>(decoded: T | Malformed): decoded is Malformed {
  return 'malformed' in decoded
}
