// tc through rtnetlink, for what iproute2 only takes from a pinned object: clsact and its eBPF filters, by file
// descriptor. net/sched/sch_api.c, net/sched/cls_api.c, net/sched/cls_bpf.c.
import { KernelLacks, KernelRefused, type Libc, must } from './native.ts'

const message = { newQdisc: 36, newFilter: 44, error: 2 } as const
const request = 1
const acknowledge = 4
const create = 0x400
const exclusive = 0x200
const kindAttribute = 1
const optionsAttribute = 2
const clsactHandle = 0xffff_0000
const clsactParent = 0xffff_fff1
const bpfAttribute = { action: 1, classid: 3, descriptor: 6, name: 7, flags: 8 } as const
const directAction = 1
const tcAct = { ok: 0, shot: 2, pipe: 3, stolen: 4 } as const
const egressRedirect = 1
const egressMirror = 2

export const filterParent = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const

const alreadyThere = 17
const errorNames: Readonly<Record<number, string>> = { 2: 'ENOENT', 16: 'EBUSY', 17: 'EEXIST', 22: 'EINVAL' }

/** What a classic filter does with what matches. */
export type FilterAction =
  | { readonly kind: 'drop' | 'pass' }
  | { readonly kind: 'mirror' | 'redirect'; readonly ifindex: number }

export interface Filter {
  readonly ifindex: number
  readonly parent: number
  readonly pref: number
  readonly handle: number
  /** Ethertype; 3 (ETH_P_ALL) for all. */
  readonly protocol: number
  readonly program: number
  readonly name: string
  readonly direct: boolean
  readonly classid?: number
  readonly action?: FilterAction
}

/** Bytes that grow: attributes are padded to four bytes. */
class Writer {
  private readonly parts: Uint8Array[] = []

  u32(...values: readonly number[]): this {
    const bytes = new Uint8Array(values.length * 4)
    const view = new DataView(bytes.buffer)
    for (const [index, value] of values.entries()) view.setUint32(index * 4, value >>> 0, true)
    this.parts.push(bytes)
    return this
  }

  attribute(type: number, payload: Uint8Array): this {
    const padded = new Uint8Array(Math.ceil((payload.length + 4) / 4) * 4)
    const view = new DataView(padded.buffer)
    view.setUint16(0, payload.length + 4, true)
    view.setUint16(2, type, true)
    padded.set(payload, 4)
    this.parts.push(padded)
    return this
  }

  number(type: number, value: number): this {
    return this.attribute(type, new Writer().u32(value).bytes())
  }

  text(type: number, value: string): this {
    return this.attribute(type, new TextEncoder().encode(`${value}\0`))
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.parts.flatMap((part) => [...part]))
  }
}

/** struct tcmsg */
function tcMessage(ifindex: number, handle: number, parent: number, info: number): Uint8Array {
  return new Writer().u32(0, ifindex, handle, parent, info).bytes()
}

function actionKind(action: FilterAction): string {
  return 'ifindex' in action ? 'mirred' : 'gact'
}

/** One action: act_gact or act_mirred. */
function actionBytes(action: FilterAction): Uint8Array {
  const options = new Writer()
  if (!('ifindex' in action)) {
    options.attribute(2, new Writer().u32(0, 0, action.kind === 'drop' ? tcAct.shot : tcAct.ok, 0, 0).bytes())
  } else {
    const redirect = action.kind === 'redirect'
    const verdict = redirect ? tcAct.stolen : tcAct.pipe
    const how = redirect ? egressRedirect : egressMirror
    options.attribute(2, new Writer().u32(0, 0, verdict, 0, 0, how, action.ifindex).bytes())
  }
  const kind = actionKind(action)
  const one = new Writer().text(1, kind).attribute(2, options.bytes()).bytes()
  return new Writer().attribute(1, one).bytes()
}

function filterOptions(filter: Filter): Uint8Array {
  const writer = new Writer()
    .number(bpfAttribute.descriptor, filter.program)
    .text(bpfAttribute.name, filter.name)
    .number(bpfAttribute.flags, filter.direct ? directAction : 0)
  if (filter.classid !== undefined) writer.number(bpfAttribute.classid, filter.classid)
  if (filter.action !== undefined) writer.attribute(bpfAttribute.action, actionBytes(filter.action))
  return writer.bytes()
}

/** Sends one message in the present namespace and waits for its acknowledgement. */
function talk(libc: Libc, type: number, body: Uint8Array, what: string, tolerated = 0): void {
  const socket = must(libc, libc.socket(16, 3, 0), 'a netlink socket is opened')
  try {
    const head = new Uint8Array(16)
    const view = new DataView(head.buffer)
    view.setUint32(0, 16 + body.length, true)
    view.setUint16(4, type, true)
    view.setUint16(6, request | acknowledge | create | exclusive, true)
    view.setUint32(8, 1, true)
    const whole = new Uint8Array([...head, ...body])
    const kernel = new Uint8Array(12)
    kernel[0] = 16
    must(libc, libc.sendto(socket, whole, whole.length, 0, kernel, kernel.length), what)
    const answer = new Uint8Array(4096)
    must(libc, libc.recv(socket, answer, answer.length, 0), what)
    const got = new DataView(answer.buffer)
    const error = got.getUint16(4, true) === message.error ? got.getInt32(16, true) : 0
    if (error === 0 || -error === tolerated) return
    throw new KernelRefused(what, errorNames[-error] ?? `errno ${-error}`)
  } finally {
    libc.close(socket)
  }
}

/** `tc qdisc add dev X clsact`, if there is none. */
export function addClsact(libc: Libc, ifindex: number): void {
  const body = new Writer().text(kindAttribute, 'clsact').bytes()
  talk(
    libc,
    message.newQdisc,
    new Uint8Array([...tcMessage(ifindex, clsactHandle, clsactParent, 0), ...body]),
    'a clsact qdisc is added',
    alreadyThere,
  )
}

/** `tc filter add dev X ingress|egress pref N [protocol P] bpf [da]`. */
export function addFilter(libc: Libc, filter: Filter): void {
  const protocol = ((filter.protocol & 0xff) << 8) | (filter.protocol >>> 8)
  const info = ((filter.pref << 16) | protocol) >>> 0
  const body = new Writer()
    .text(kindAttribute, 'bpf')
    .attribute(optionsAttribute, filterOptions(filter))
    .bytes()
  const head = tcMessage(filter.ifindex, filter.handle, filter.parent, info)
  try {
    talk(libc, message.newFilter, new Uint8Array([...head, ...body]), `filter ${filter.name} is added`)
  } catch (problem) {
    const lacks =
      problem instanceof KernelRefused && problem.errno === 'ENOENT' && filter.action !== undefined
    if (lacks) throw new KernelLacks(`this kernel has no tc action ${actionKind(filter.action)}`)
    throw problem
  }
}
