// What bpftool asks the kernel for: loaded programs and maps with their ids. Who loads programs hands them over; views of
// devices only turn an attached program into its id and name.
import type { Program } from '../../bpf/contract.ts'
import type { AnyMap } from '../../bpf/maps/create.ts'

/** A loaded program; `id` as BPF_OBJ_GET_INFO_BY_FD answers it. */
export interface LoadedProgram {
  readonly id: number
  readonly program: Program
  readonly mapIds: readonly number[]
  /** It has BTF, which knows its whole name; the kernel itself keeps 15 characters. */
  readonly btf?: true
  /** The loader gave it no name. */
  readonly anonymous?: true
}

/** A map; programs that share it through a pin refer to one id. */
export interface LoadedMap {
  readonly id: number
  readonly map: AnyMap
}

/** Everything one node's kernel has loaded, in order of loading. */
export interface BpfObjects {
  readonly programs: readonly LoadedProgram[]
  readonly maps: readonly LoadedMap[]
  /** Ids of the links by which programs are attached, where they are (BPF_LINK_CREATE). */
  readonly links?: ReadonlyMap<Program, number>
}

/** The id of an attached program; 0 when nobody told of it. */
export function programId(objects: BpfObjects, program: Program): number {
  return objects.programs.find((each) => each.program === program)?.id ?? 0
}

/**
 * The `tag` that stands for a program without instructions: 64-bit FNV-1a of type and name. The kernel's is a SHA-1 of
 * the instructions, which a program written in a scenario file does not have.
 */
export function programTag({ name, type }: Program): string {
  let hash = 0xcbf2_9ce4_8422_2325n
  for (const char of `${type} ${name}`) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(char.codePointAt(0) ?? 0)) * 0x100_0000_01b3n)
  }
  return hash.toString(16).padStart(16, '0')
}

/** BPF_OBJ_NAME_LEN: the kernel keeps 15 characters. */
export function objectName(name: string): string {
  return name.slice(0, 15)
}

/** The name that bpftool prints: the function's in BTF where the kernel's was cut (get_prog_full_name()); '' where there is none. */
export function printedName(objects: BpfObjects, program: Program): string {
  const loaded = objects.programs.find((each) => each.program === program)
  if (loaded?.anonymous === true) return ''
  return loaded?.btf === true ? program.name : objectName(program.name)
}

/** `link_id 7 ` of a program that a link attaches; bpftool says it behind the program's id. */
export function linkWord({ links }: BpfObjects, program: Program): string {
  const id = links?.get(program)
  return id === undefined ? '' : `link_id ${id} `
}
