// Sequence numbers modulo 2^32 (include/net/tcp.h before(), after()).

/** Whether `left` comes before `right`. */
export function before(left: number, right: number): boolean {
  return ((left - right) | 0) < 0
}

/** Whether `left` comes after `right`. */
export function after(left: number, right: number): boolean {
  return before(right, left)
}

/** A sum modulo 2^32. */
export function plus(sequence: number, delta: number): number {
  return (sequence + delta) >>> 0
}
