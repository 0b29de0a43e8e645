// bpf(2): maps, programs, links and test runs on the real kernel. include/uapi/linux/bpf.h union bpf_attr.

import { isPerCpu, mapTypeNumber } from '../bpf/maps/map.ts'
import { scratchMap, smallBytecode } from '../bpf/small/bytecode.ts'
import type { SmallIr } from '../bpf/small/ir.ts'
import { KernelRefused, type Libc, type Memory } from './native.ts'

const command = {
  mapCreate: 0,
  mapLookup: 1,
  mapUpdate: 2,
  mapNextKey: 4,
  progLoad: 5,
  testRun: 10,
  linkCreate: 28,
} as const

const programType = { xdp: 6, sched_cls: 3, cgroup_skb: 8 } as const
const attachType = { cgroupIngress: 0, cgroupEgress: 1, xdp: 37, tcxIngress: 46, tcxEgress: 47 } as const
export const bpfAttach = attachType

const attributeBytes = 144
const logBytes = 1 << 20
const dataBytes = 1 << 17
const license = 'Dual BSD/GPL\0'

/** A map as the kernel wants it declared. Sizes in bytes. */
export interface MapDeclared {
  readonly type: keyof typeof mapTypeNumber
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags?: number
}

/** Speaks to bpf(2) through memory of its own. */
export class Bpf {
  private readonly libc: Libc
  private readonly attr: Memory
  private readonly data: Memory
  private log: Memory | undefined
  readonly cpus: number

  constructor(libc: Libc, cpus: number) {
    this.libc = libc
    this.attr = libc.allocate(attributeBytes)
    this.data = libc.allocate(dataBytes)
    this.cpus = cpus
  }

  /** BPF_MAP_CREATE: a file descriptor. */
  createMap(map: MapDeclared): number {
    const { view } = this.fresh()
    view.setUint32(0, mapTypeNumber[map.type], true)
    view.setUint32(4, map.keySize, true)
    view.setUint32(8, map.valueSize, true)
    view.setUint32(12, map.maxEntries, true)
    view.setUint32(16, map.flags ?? 0, true)
    return this.call(command.mapCreate, `a map of type ${map.type} is made`)
  }

  /** BPF_MAP_UPDATE_ELEM; a per-CPU map gets the value on every CPU. */
  update(map: number, declared: MapDeclared, key: Uint8Array, value: Uint8Array): void {
    const stride = Math.ceil(declared.valueSize / 8) * 8
    const copies = isPerCpu(declared.type) ? this.cpus : 1
    for (let cpu = 0; cpu < copies; cpu += 1) this.data.bytes.set(value, 1024 + cpu * stride)
    this.entry(map, key)
    this.call(command.mapUpdate, 'a map entry is written')
  }

  /** BPF_MAP_LOOKUP_ELEM: the values of all CPUs one after the other for a per-CPU map; undefined when it is not there. */
  lookup(map: number, declared: MapDeclared, key: Uint8Array): Uint8Array[] | undefined {
    this.entry(map, key)
    if (this.libc.bpf(command.mapLookup, this.attr.address, attributeBytes) < 0) return undefined
    const stride = Math.ceil(declared.valueSize / 8) * 8
    const copies = isPerCpu(declared.type) ? this.cpus : 1
    return Array.from({ length: copies }, (_, cpu) =>
      this.data.bytes.slice(1024 + cpu * stride, 1024 + cpu * stride + declared.valueSize),
    )
  }

  /** BPF_MAP_GET_NEXT_KEY: all keys. */
  keys(map: number, declared: MapDeclared): Uint8Array[] {
    const found: Uint8Array[] = []
    for (let key: Uint8Array | undefined; ; ) {
      this.entry(map, key ?? new Uint8Array(declared.keySize))
      if (key === undefined) this.attr.view.setBigUint64(8, 0n, true)
      if (this.libc.bpf(command.mapNextKey, this.attr.address, attributeBytes) < 0) return found
      key = this.data.bytes.slice(1024, 1024 + declared.keySize)
      found.push(key)
    }
  }

  private entry(map: number, key: Uint8Array): void {
    const { view } = this.fresh()
    this.data.bytes.set(key, 0)
    view.setUint32(0, map, true)
    view.setBigUint64(8, this.data.address, true)
    view.setBigUint64(16, this.data.address + 1024n, true)
  }

  /** BPF_PROG_LOAD: a file descriptor. Throws KernelRefused with the end of the verifier's log. */
  loadProgram(
    type: keyof typeof programType,
    instructions: Uint8Array,
    name: string,
    expected: number = 0,
  ): number {
    this.expected = expected
    this.data.bytes.set(instructions, 1024)
    this.data.bytes.set(new TextEncoder().encode(license), 0)
    if (this.tryLoad(type, instructions.length / 8, name, undefined) >= 0) return this.lastResult
    this.log ??= this.libc.allocate(logBytes)
    this.log.bytes.fill(0)
    if (this.tryLoad(type, instructions.length / 8, name, this.log) >= 0) return this.lastResult
    const errno = this.libc.errno()
    const text = new TextDecoder().decode(this.log.bytes).replace(/\0.*$/s, '')
    throw new KernelRefused(
      `program ${name} is loaded`,
      `${errno}\n${text.split('\n').slice(-12).join('\n')}`,
    )
  }

  private lastResult = -1
  /** expected_attach_type: what the verifier lets a program of a cgroup return depends on it. */
  private expected = 0

  private tryLoad(
    type: keyof typeof programType,
    count: number,
    name: string,
    log: Memory | undefined,
  ): number {
    const { view, bytes } = this.fresh()
    view.setUint32(0, programType[type], true)
    view.setUint32(4, count, true)
    view.setBigUint64(8, this.data.address + 1024n, true)
    view.setBigUint64(16, this.data.address, true)
    if (log !== undefined) {
      view.setUint32(24, 1, true)
      view.setUint32(28, logBytes, true)
      view.setBigUint64(32, log.address, true)
    }
    view.setUint32(68, this.expected, true)
    bytes.set(new TextEncoder().encode(name.replaceAll(/[^A-Za-z0-9_.]/g, '_').slice(0, 15)), 48)
    this.lastResult = this.libc.bpf(command.progLoad, this.attr.address, attributeBytes)
    return this.lastResult
  }

  /** BPF_PROG_TEST_RUN: the code and the packet as the program left it. */
  testRun(program: number, packet: Uint8Array): { readonly code: number; readonly packet: Uint8Array } {
    const { view } = this.fresh()
    const out = 65536
    this.data.bytes.set(packet, 0)
    view.setUint32(0, program, true)
    view.setUint32(8, packet.length, true)
    view.setUint32(12, 8192, true)
    view.setBigUint64(16, this.data.address, true)
    view.setBigUint64(24, this.data.address + BigInt(out), true)
    view.setUint32(32, 1, true)
    this.call(command.testRun, 'a program is tried')
    const length = view.getUint32(12, true)
    return { code: view.getInt32(4, true), packet: this.data.bytes.slice(out, out + length) }
  }

  /** BPF_LINK_CREATE on a device of the present namespace; the link lives as long as its file descriptor. */
  link(
    program: number,
    ifindex: number,
    type: number,
    more: { readonly flags?: number; readonly relative?: number } = {},
  ): number {
    const { view } = this.fresh()
    view.setUint32(0, program, true)
    view.setUint32(4, ifindex, true)
    view.setUint32(8, type, true)
    view.setUint32(12, more.flags ?? 0, true)
    if (more.relative !== undefined) view.setUint32(16, more.relative, true)
    return this.call(command.linkCreate, 'a program is attached')
  }

  private fresh(): Memory {
    this.attr.bytes.fill(0)
    return this.attr
  }

  private call(number: number, what: string): number {
    const result = this.libc.bpf(number, this.attr.address, attributeBytes)
    if (result < 0) throw new KernelRefused(what, this.libc.errno())
    return result
  }
}

/** Loads a small program; `maps` are the file descriptors of its maps, in their order. */
export function loadSmall(
  bpf: Bpf,
  ir: SmallIr,
  maps: readonly number[],
): { readonly program: number; readonly scratch: number } {
  const { bytes, maps: places } = smallBytecode(ir)
  const scratch = bpf.createMap(scratchMap)
  const view = new DataView(bytes.buffer)
  for (const { at, map } of places) view.setUint32(at * 8 + 4, maps[map] ?? scratch, true)
  const expected = ir.egress === true ? attachType.cgroupEgress : 0
  return { program: bpf.loadProgram(ir.type, bytes, ir.name, expected), scratch }
}
