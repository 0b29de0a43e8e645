// Classic BPF instructions, as socket filters and `tcpdump -dd` have them. linux/filter.h (struct sock_filter),
// linux/bpf_common.h; McCanne and Jacobson, "The BSD Packet Filter", 1993.
//
//   code: size and mode (loads) or operation and source (ALU, jumps) in the high bits, class in the low three
//     7 6 5 | 4 3 | 2 1 0          7 6 5 4 | 3 | 2 1 0
//      mode  size  class            operation  X  class

/** One instruction; `k` is unsigned. */
export interface ClassicInstruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

export const classOf = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, RET: 6, MISC: 7 } as const
export const sizeOf = { W: 0x00, H: 0x08, B: 0x10 } as const
export const modeOf = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, LEN: 0x80, MSH: 0xa0 } as const
export const aluOf = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
} as const
export const jumpOf = { JA: 0x00, JEQ: 0x10, JGT: 0x20, JGE: 0x30, JSET: 0x40 } as const
/** Bit that makes X rather than k the second operand. */
export const sourceX = 0x08
/** RET: the value is A rather than k. */
export const returnA = 0x10
/** MISC: TXA rather than TAX. */
export const transferXa = 0x80

/** BPF_MAXINSNS, BPF_MEMWORDS */
export const instructionsMax = 4096
export const memoryWords = 16

/** Offsets above this are not packet bytes but what Linux adds (SKF_AD_OFF, SKF_NET_OFF, SKF_LL_OFF), as unsigned numbers. */
export const ancillaryBase = 0xffff_f000
export const networkBase = 0xfff0_0000
export const linkBase = 0xffe0_0000

/** SKF_AD_*: offsets from `ancillaryBase`. Those of netlink and of the hardware type are left out. */
export const ancillary = {
  protocol: 0,
  pktType: 4,
  ifindex: 8,
  mark: 20,
  queue: 24,
  rxHash: 32,
  cpu: 36,
  vlanTag: 44,
  vlanTagPresent: 48,
  random: 56,
  vlanTpid: 60,
} as const
