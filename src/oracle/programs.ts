// The programs of a scenario on the real kernel: maps with their first entries, bytecode, and the hooks.
import { assert, present } from '../base/assert.ts'
import { cpus } from '../boot/maps.ts'
import type { BootedProgram } from '../boot/programs.ts'
import type { AnyMap } from '../bpf/maps/create.ts'
import { isPerCpu } from '../bpf/maps/map.ts'
import { ProgArray } from '../bpf/maps/prog-array.ts'
import type { SmallIr } from '../bpf/small/ir.ts'
import { mapGet, mapKeys } from '../bpf/user.ts'
import type { AttachmentModel, DeviceModel } from '../model/device-model.ts'
import type { NamespaceModel } from '../model/model.ts'
import { type Bpf, bpfAttach, loadSmall, type MapDeclared } from './bpf.ts'
import { type Libc, must } from './native.ts'
import { addClsact, addFilter, filterParent } from './netlink.ts'

/** A map on the real kernel beside the one of the model. */
export interface RealMap {
  readonly program: string
  readonly name: string
  readonly declared: MapDeclared
  readonly descriptor: number
}

const linkBefore = 8
const linkAfter = 16
const relativeIsLink = 1 << 13
const xdpFlags = { generic: 2, native: 4 } as const
const allProtocols = 3
const closeOnExec = 0x80000

/** The programs of one namespace. */
export class RealPrograms {
  readonly maps: RealMap[] = []
  private readonly bpf: Bpf
  private readonly libc: Libc
  private readonly models: ReadonlyMap<string, BootedProgram>
  private readonly loaded = new Map<string, number>()
  private readonly descriptors: number[] = []
  private readonly made = new Map<AnyMap, number>()
  private readonly clsact = new Set<number>()
  private readonly links = new Map<string, number>()

  constructor(libc: Libc, bpf: Bpf, models: ReadonlyMap<string, BootedProgram>) {
    this.libc = libc
    this.bpf = bpf
    this.models = models
  }

  /** Closes everything; links, filters and maps go with their namespace and their last user. */
  close(): void {
    for (const descriptor of this.descriptors) this.libc.close(descriptor)
    this.descriptors.length = 0
  }

  /** Attaches the programs of a namespace; must run inside it. `ifindex` numbers its devices. */
  attach(model: NamespaceModel, ifindex: (device: string) => number): void {
    for (const device of model.devices) this.attachDevice(device, ifindex)
  }

  /** The programs of a host's cgroup, in order (BPF_F_ALLOW_MULTI is what links are). */
  attachCgroup(model: NamespaceModel, folder: string): void {
    if (model.cgroup === undefined) return
    const descriptor = must(this.libc, this.libc.open(folder, closeOnExec), 'a cgroup is opened')
    this.keep(descriptor)
    for (const { hook, program } of model.cgroup) {
      const type = hook === 'cgroup/ingress' ? bpfAttach.cgroupIngress : bpfAttach.cgroupEgress
      this.keep(this.bpf.link(this.load(program), descriptor, type))
    }
  }

  /** Without preferences the order written is the order of running, as in the model. */
  private attachDevice(device: DeviceModel, ifindex: (device: string) => number): void {
    const index = ifindex(device.name)
    let pref = 1
    for (const attachment of device.attachments) {
      const program = this.load(attachment.program)
      const { hook } = attachment
      if (hook === 'xdp') {
        const flags = attachment.mode === 'generic' ? xdpFlags.generic : xdpFlags.native
        this.keep(this.bpf.link(program, index, bpfAttach.xdp, { flags }))
      } else if (hook === 'tc-in' || hook === 'tc-out') {
        pref = attachment.pref ?? pref
        this.filter(attachment, program, index, pref, ifindex)
        pref += 1
      } else this.tcx(attachment, program, index)
    }
  }

  private filter(
    attachment: AttachmentModel,
    program: number,
    index: number,
    pref: number,
    ifindex: (device: string) => number,
  ): void {
    if (!this.clsact.has(index)) addClsact(this.libc, index)
    this.clsact.add(index)
    const { action, classid } = attachment
    addFilter(this.libc, {
      ifindex: index,
      parent: attachment.hook === 'tc-in' ? filterParent.ingress : filterParent.egress,
      pref,
      handle: attachment.handle ?? 0,
      protocol: attachment.protocol ?? allProtocols,
      program,
      name: attachment.program,
      direct: !attachment.classic,
      ...(classid === undefined ? {} : { classid }),
      ...(action === undefined
        ? {}
        : { action: 'device' in action ? { kind: action.kind, ifindex: ifindex(action.device) } : action }),
    })
  }

  private tcx(attachment: AttachmentModel, program: number, index: number): void {
    const type = attachment.hook === 'tcx-in' ? bpfAttach.tcxIngress : bpfAttach.tcxEgress
    const { position } = attachment
    const flags =
      position === undefined
        ? 0
        : position.kind === 'first' || position.kind === 'before'
          ? linkBefore
          : linkAfter
    const relative =
      position !== undefined && 'program' in position
        ? this.links.get(`${index} ${type} ${position.program}`)
        : undefined
    const link = this.bpf.link(program, index, type, {
      flags: relative === undefined ? flags : flags | relativeIsLink,
      ...(relative === undefined ? {} : { relative }),
    })
    this.links.set(`${index} ${type} ${attachment.program}`, this.keep(link))
  }

  private keep(descriptor: number): number {
    this.descriptors.push(descriptor)
    return descriptor
  }

  /** Loads a program once, its tail calls first. */
  private load(name: string): number {
    const known = this.loaded.get(name)
    if (known !== undefined) return known
    const { ir, maps } = present(this.models.get(name), `program ${name} was booted`)
    assert(ir !== undefined, `program ${name} is a small program`)
    const names = new Map([...maps].map(([mapName, map]) => [map, mapName]))
    const descriptors = ir.maps.map(({ map }) => this.map(map, name, names.get(map)))
    const { program, scratch } = loadSmall(this.bpf, ir, descriptors)
    this.keep(scratch)
    this.loaded.set(name, this.keep(program))
    this.fillProgArrays(ir)
    return program
  }

  private fillProgArrays(ir: SmallIr): void {
    for (const { map } of ir.maps) {
      if (!(map instanceof ProgArray)) continue
      for (let slot = 0; slot < map.spec.maxEntries; slot += 1) {
        const target = map.get(slot)
        if (target === undefined) continue
        this.bpf.update(
          this.map(map, '', undefined),
          map.spec,
          number32(slot),
          number32(this.load(target.name)),
        )
      }
    }
  }

  /** Makes a map with the entries that the model's has at the start. */
  private map(map: AnyMap, program: string, name: string | undefined): number {
    const known = this.made.get(map)
    if (known !== undefined) return known
    const { type, keySize, valueSize, maxEntries, flags } = map.spec
    const ring = type === 'ringbuf'
    const declared: MapDeclared = {
      type,
      keySize: ring ? 0 : keySize,
      valueSize: ring ? 0 : valueSize,
      maxEntries,
      ...(flags === undefined ? {} : { flags }),
    }
    const descriptor = this.keep(this.bpf.createMap(declared))
    this.made.set(map, descriptor)
    if ('peek' in map) {
      for (const key of mapKeys(map)) {
        const got = mapGet(map, key, { cpus })
        const empty = type === 'devmap' && got.kind === 'value' && got.value.every((byte) => byte === 0)
        if (got.kind === 'value' && !empty)
          this.bpf.update(descriptor, declared, key, got.value.subarray(0, valueSize))
      }
      if (name !== undefined) this.maps.push({ program, name, declared, descriptor })
    }
    return descriptor
  }
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

/** The entries of a map, keys and values as hexadecimal digits; a per-CPU value is the sum over the CPUs. */
export function entriesOf(bpf: Bpf, map: RealMap): Map<string, string> {
  const entries = new Map<string, string>()
  for (const key of bpf.keys(map.descriptor, map.declared)) {
    const values = bpf.lookup(map.descriptor, map.declared, key)
    if (values === undefined) continue
    entries.set(hex(key), hex(isPerCpu(map.declared.type) ? summed(values) : (values[0] ?? new Uint8Array())))
  }
  return entries
}

/** The sum of little-endian numbers of equal length. */
function summed(values: readonly Uint8Array[]): Uint8Array {
  const length = values[0]?.length ?? 0
  let total = 0n
  for (const value of values)
    for (let at = 0; at < length; at += 1) total += BigInt(value[at] ?? 0) << BigInt(8 * at)
  return Uint8Array.from({ length }, (_, at) => Number((total >> BigInt(8 * at)) & 0xffn))
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
