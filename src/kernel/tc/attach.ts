// Attaching tc programs in the order in which the kernel will run them (facts: linux 1.4 to 1.6).
import type { Program } from '../../bpf/contract.ts'
import { type AdminResult, adminDone, refused } from '../device/change.ts'
import type { NetDevice } from '../device/device.ts'
import type { TcAction, TcDirection, TcHook, TcProgram } from './hook.ts'

/** A clsact filter, as `tc filter add` takes it. */
export interface FilterOptions {
  readonly kind: 'clsact'
  readonly program: Program
  /** TCA_BPF_NAME; the program's name unless said. */
  readonly name?: string
  /** Lower runs first. Without one the kernel takes one below the lowest in use: the filter added last runs first. */
  readonly pref?: number
  readonly handle?: number
  /** `da`; true unless said. */
  readonly directAction?: boolean
  readonly classid?: number
  readonly protocol?: number | 'all'
  readonly actions?: readonly TcAction[]
}

/** Where a program goes among several (bpf_mprog): at the end unless placed. */
export interface MultiPosition {
  /** BPF_F_BEFORE: in front of that program, or at the head for 'all'. */
  readonly before?: Program | 'all'
  /** BPF_F_AFTER: behind that program, or at the end for 'all'. */
  readonly after?: Program | 'all'
}

/** A tcx program, as BPF_LINK_CREATE takes it. */
export interface TcxOptions extends MultiPosition {
  readonly kind: 'tcx'
  readonly program: Program
}

/** tcf_auto_prio(): the first filter without a preference gets 0xc000, the next one below the lowest. */
const firstAutoPref = 0xc000
const tcxProgramsMax = 64

function emptyHook(): TcHook {
  return { tcx: [], filters: [], drops: 0 }
}

/** The hook of a direction; made on first use (`tc qdisc add dev DEV clsact`). */
function tcHook(dev: NetDevice, direction: TcDirection): TcHook {
  if (direction === 'ingress') {
    dev.tcIngress ??= emptyHook()
    return dev.tcIngress
  }
  dev.tcEgress ??= emptyHook()
  return dev.tcEgress
}

/**
 * Attaches a program. EINVAL: not a tc program, or another protocol than that of its preference; EEXIST: the program is there already (tcx), or the handle is taken
 * (clsact); ENOENT: the program to stand beside is not attached; ERANGE: both `before` and `after`, or more than 64.
 */
export function attachTc(
  dev: NetDevice,
  direction: TcDirection,
  options: FilterOptions | TcxOptions,
): AdminResult {
  if (options.program.type !== 'sched_cls') return refused('EINVAL')
  const hook = tcHook(dev, direction)
  return options.kind === 'tcx' ? attachMulti(hook.tcx, options) : attachFilter(hook, options)
}

function attachFilter(hook: TcHook, options: FilterOptions): AdminResult {
  const lowest = hook.filters[0]?.pref
  const pref = options.pref ?? (lowest === undefined ? firstAutoPref : lowest - 1)
  const same = hook.filters.filter((other) => other.pref === pref)
  if (same.some((other) => other.protocol !== (options.protocol ?? 'all'))) return refused('EINVAL')
  const handle = options.handle ?? 1 + Math.max(0, ...same.map((other) => other.handle))
  if (same.some((other) => other.handle === handle)) return refused('EEXIST')
  const entry: TcProgram = {
    program: options.program,
    ...(options.name === undefined ? {} : { name: options.name }),
    kind: 'clsact',
    pref,
    handle,
    directAction: options.directAction ?? true,
    classid: options.classid ?? 0,
    protocol: options.protocol ?? 'all',
    actions: options.actions ?? [],
  }
  // Inside one preference the newest stands first (list_add_rcu at the head).
  const at = hook.filters.findIndex((other) => other.pref >= pref)
  hook.filters.splice(at === -1 ? hook.filters.length : at, 0, entry)
  return adminDone
}

/** bpf_mprog_attach(): a program joins others. Errors as for tcx in `attachTc`. */
export function attachMulti(
  tcx: TcProgram[],
  options: { readonly program: Program } & MultiPosition,
): AdminResult {
  const { before, after, program } = options
  if ((before !== undefined && after !== undefined) || tcx.length >= tcxProgramsMax) return refused('ERANGE')
  if (tcx.some((other) => other.program === program)) return refused('EEXIST')
  const at = tcxPlace(tcx, before, after)
  if (at === -1) return refused('ENOENT')
  tcx.splice(at, 0, {
    program,
    kind: 'tcx',
    pref: 0,
    handle: 0,
    directAction: true,
    classid: 0,
    protocol: 'all',
    actions: [],
  })
  return adminDone
}

/** Where a new tcx program goes; -1 when the one it should stand beside is not there. */
function tcxPlace(
  tcx: readonly TcProgram[],
  before: Program | 'all' | undefined,
  after: Program | 'all' | undefined,
): number {
  if (before === 'all') return 0
  if (before !== undefined) return tcx.findIndex((other) => other.program === before)
  if (after === undefined || after === 'all') return tcx.length
  const beside = tcx.findIndex((other) => other.program === after)
  return beside === -1 ? -1 : beside + 1
}

/** Takes a program out of one of these lists. ENOENT when it is in none. */
export function detachFrom(lists: readonly TcProgram[][], program: Program): AdminResult {
  for (const list of lists) {
    const at = list.findIndex((entry) => entry.program === program)
    if (at === -1) continue
    list.splice(at, 1)
    return adminDone
  }
  return refused('ENOENT')
}

/** Puts a program in the place of another one in one of these lists. ENOENT when that one is in none. */
export function replaceIn(lists: readonly TcProgram[][], old: Program, program: Program): AdminResult {
  for (const list of lists) {
    const at = list.findIndex((entry) => entry.program === old)
    const entry = list[at]
    if (entry === undefined) continue
    list[at] = { ...entry, program }
    return adminDone
  }
  return refused('ENOENT')
}

/** Detaches a program from a direction. ENOENT when it is not there. */
export function detachTc(dev: NetDevice, direction: TcDirection, program: Program): AdminResult {
  const hook = tcHook(dev, direction)
  return detachFrom([hook.tcx, hook.filters], program)
}

/** BPF_LINK_UPDATE, `tc filter replace`: another program takes the place of one. ENOENT when that one is not there. */
export function replaceTc(
  dev: NetDevice,
  direction: TcDirection,
  old: Program,
  program: Program,
): AdminResult {
  const hook = tcHook(dev, direction)
  return replaceIn([hook.tcx, hook.filters], old, program)
}
