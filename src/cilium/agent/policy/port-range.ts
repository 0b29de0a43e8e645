// Ranges of ports as prefixes, because the policy map is a trie (cilium pkg/policy/portrange.go).

/** The ports whose first `length` (0 to 16) bits are those of `port`. */
export interface PortPrefix {
  readonly port: number
  readonly length: number
}

/**
 * The fewest prefixes that are a range together, in order of their ports. `last` 0: the one port. Port 0 alone, or 0 to
 * 65535, is every port.
 */
export function portPrefixes(first: number, last: number): readonly PortPrefix[] {
  if (first === 0 && (last === 0 || last === 65535)) return [{ port: 0, length: 0 }]
  if (last <= first) return [{ port: first, length: 16 }]
  const prefixes: PortPrefix[] = []
  for (let port = first; port <= last; ) {
    // the largest block that starts here: its size divides the port and it does not reach over the end
    let size = port === 0 ? 65536 : port & -port
    while (port + size - 1 > last) size /= 2
    prefixes.push({ port, length: 16 - Math.log2(size) })
    port += size
  }
  return prefixes
}
