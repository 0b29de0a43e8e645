// ICMP messages as expectations name them: one word for both families where the meaning is one.

/** What a word stands for: IP version, type, and code where it matters. */
export type IcmpPattern = readonly [version: 4 | 6, type: number, code?: number]

/** The words of `expect p1 icmp WORD`, the same list as the grammar's IcmpKind. */
export const icmpKinds: Readonly<Record<string, readonly IcmpPattern[]>> = {
  'net-unreachable': [[4, 3, 0]],
  'host-unreachable': [[4, 3, 1]],
  'protocol-unreachable': [[4, 3, 2]],
  'port-unreachable': [
    [4, 3, 3],
    [6, 1, 4],
  ],
  'fragmentation-needed': [[4, 3, 4]],
  'too-big': [[6, 2]],
  'time-exceeded': [
    [4, 11],
    [6, 3],
  ],
  'admin-prohibited': [
    [4, 3, 13],
    [6, 1, 1],
  ],
  redirect: [
    [4, 5],
    [6, 137],
  ],
  'parameter-problem': [
    [4, 12],
    [6, 4],
  ],
  'no-route': [[6, 1, 0]],
  'address-unreachable': [[6, 1, 3]],
}

/** Every word. */
export const icmpKindNames: readonly string[] = Object.keys(icmpKinds)
