// What bpf_fib_lookup answers.

/** BPF_FIB_LKUP_RET_* */
export const fibResult = {
  success: 0,
  blackhole: 1,
  unreachable: 2,
  prohibit: 3,
  notForwarded: 4,
  forwardingDisabled: 5,
  unsupportedLwt: 6,
  noNeighbour: 7,
  fragmentationNeeded: 8,
  noSource: 9,
} as const
