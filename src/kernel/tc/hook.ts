// What hangs on one direction of a device: tcx programs and clsact filters, in the order in which they run.
import type { Program } from '../../bpf/contract.ts'

/** Which side of a device a hook stands on. */
export type TcDirection = 'ingress' | 'egress'

/** What a matching classic filter does with the packet (act_gact, act_mirred). Without an action a match accepts. */
export type TcAction =
  | { readonly kind: 'drop' }
  | { readonly kind: 'pass' }
  | {
      readonly kind: 'mirred'
      /** `mirror` sends a copy and goes on, `redirect` sends the packet itself. */
      readonly mode: 'mirror' | 'redirect'
      readonly direction: TcDirection
      readonly ifindex: number
    }

/** One program on a tc hook. */
export interface TcProgram {
  readonly program: Program
  /** TCA_BPF_NAME of a filter where it is not the program's name. */
  readonly name?: string
  readonly kind: 'clsact' | 'tcx'
  /** The filter's preference (priority): lower runs first. 0 for tcx. */
  readonly pref: number
  readonly handle: number
  /** Whether the return value is a verdict (`da`); otherwise it is a class. tcx is always direct. */
  readonly directAction: boolean
  /** Class given by `-1` in classic mode (`classid 1:10` is 0x10010). */
  readonly classid: number
  /** Ethertype that the filter is for, or 'all'. */
  readonly protocol: number | 'all'
  readonly actions: readonly TcAction[]
}

/** The programs of one direction of one device. */
export interface TcHook {
  readonly tcx: TcProgram[]
  /** clsact filters, sorted by preference; inside one the last added first. */
  readonly filters: TcProgram[]
  /** `dropped` of the clsact qdisc: only SHOT by a clsact filter counts (facts: linux 1.8). */
  drops: number
}

/** include/uapi/linux/pkt_cls.h TC_ACT_*; tcx has the same numbers (TCX_NEXT, TCX_PASS, TCX_DROP, TCX_REDIRECT). */
export const tcAct = {
  unspec: -1,
  ok: 0,
  reclassify: 1,
  shot: 2,
  pipe: 3,
  stolen: 4,
  queued: 5,
  repeat: 6,
  redirect: 7,
  trap: 8,
  /** TC_ACT_CONSUMED: an action has taken the packet and said what became of it; no program can return it. */
  consumed: 0x1000_0000,
} as const

const actNames = ['OK', 'RECLASSIFY', 'SHOT', 'PIPE', 'STOLEN', 'QUEUED', 'REPEAT', 'REDIRECT', 'TRAP']

/** The word of a return code (`SHOT`), or its number where there is no word. */
export function tcActName(code: number): string {
  return code === tcAct.unspec ? 'UNSPEC' : (actNames[code] ?? String(code))
}
