// The few functions of libc through which the real kernel is reached: namespaces, sockets, bpf(2). What enters are
// numbers and bytes; what leaves are results and errno names. Everything here acts on the thread that calls it, so it
// must be called from the main thread only.
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { assert } from '../base/assert.ts'

/** Memory at a fixed address: what a struct with pointers in it is built in. */
export interface Memory {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where `bytes` begins in the process. */
  readonly address: bigint
}

/** Why the real kernel cannot be reached. */
export class NotPossible extends Error {
  override readonly name = 'NotPossible'
}

/** Something that the running kernel was built without: the case is skipped. */
export class KernelLacks extends Error {
  override readonly name = 'KernelLacks'
}

/** A call that the kernel refused. */
export class KernelRefused extends Error {
  override readonly name = 'KernelRefused'
  readonly errno: string

  constructor(what: string, errno: string) {
    super(`${what}: ${errno}`)
    this.errno = errno
  }
}

type Call = (...args: readonly (number | bigint | string | Uint8Array | null)[]) => number

export interface Libc {
  readonly setns: Call
  readonly unshare: Call
  readonly open: Call
  readonly close: Call
  readonly socket: Call
  readonly bind: Call
  readonly connect: Call
  readonly listen: Call
  readonly accept4: Call
  readonly shutdown: Call
  readonly sendto: Call
  readonly recv: Call
  readonly recvfrom: Call
  readonly setsockopt: Call
  readonly getsockopt: Call
  readonly getsockname: Call
  readonly getpeername: Call
  readonly ioctl: Call
  readonly clock_gettime: Call
  /** bpf(2): command, attributes, size. */
  readonly bpf: Call
  /** The name of the last error on this thread. */
  errno(): string
  allocate(bytes: number): Memory
  /** mmap(2): the ring of an AF_PACKET socket, shared. Throws KernelRefused. */
  mapFile(descriptor: number, bytes: number): Memory
  unmap(memory: Memory): void
}

const bpfNumber: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, s390x: 351 }

const signatures = [
  'int setns(int, int)',
  'int unshare(int)',
  'int open(const char *, int)',
  'int close(int)',
  'int socket(int, int, int)',
  'int bind(int, const void *, int)',
  'int connect(int, const void *, int)',
  'int listen(int, int)',
  'int accept4(int, void *, void *, int)',
  'int shutdown(int, int)',
  'long sendto(int, const void *, size_t, int, const void *, int)',
  'long recv(int, void *, size_t, int)',
  'long recvfrom(int, void *, size_t, int, void *, void *)',
  'int setsockopt(int, int, int, const void *, int)',
  'int getsockopt(int, int, int, void *, void *)',
  'int getsockname(int, void *, void *)',
  'int getpeername(int, void *, void *)',
  'int ioctl(int, size_t, size_t)',
  'int clock_gettime(int, void *)',
] as const

/** EAGAIN has a second name, which nobody uses. */
const errnoNames = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK')
    .map(([name, number]) => [number, name]),
)

interface Koffi {
  load(name: string): { func(definition: string): (...args: unknown[]) => unknown }
  errno(): number
  address(pointer: unknown): bigint
  view(pointer: unknown, bytes: number): ArrayBuffer
}

/** Required, not imported: the command is one file compiled ahead of time, where an import of a package is not possible. */
function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi
  } catch {
    throw new NotPossible(
      'the optional package `koffi` is not installed for this platform (`npm install koffi`); it reaches the kernel',
    )
  }
}

const readWrite = 3
const shared = 1
const mapFailed = 0xffff_ffff_ffff_ffffn

function errnoText(koffi: Koffi): string {
  return errnoNames.get(koffi.errno()) ?? `errno ${koffi.errno()}`
}

function memoryAt(koffi: Koffi, pointer: unknown, bytes: number): Memory {
  const buffer = koffi.view(pointer, bytes)
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), address: koffi.address(pointer) }
}

let known: Libc | undefined

/** Opens libc. Throws NotPossible where there is none that we know. */
export function openLibc(): Libc {
  if (known !== undefined) return known
  if (process.platform !== 'linux') throw new NotPossible(`this is ${process.platform}, not Linux`)
  const bpf = bpfNumber[process.arch]
  if (bpf === undefined) throw new NotPossible(`bpf(2) has no known number on ${process.arch}`)
  const koffi = loadKoffi()
  let libc: ReturnType<Koffi['load']>
  try {
    libc = koffi.load('libc.so.6')
  } catch {
    throw new NotPossible('there is no libc.so.6 here: only glibc is known')
  }
  const functions = Object.fromEntries(
    signatures.map((signature) => [/(\w+)\(/.exec(signature)?.[1] ?? '', libc.func(signature)]),
  ) as unknown as Omit<Libc, 'bpf' | 'errno' | 'allocate' | 'mapFile' | 'unmap'>
  const syscall = libc.func('long syscall(long, long, size_t, size_t)')
  const mmap = libc.func('void *mmap(size_t, size_t, int, int, int, long)')
  const munmap = libc.func('int munmap(size_t, size_t)')
  const malloc = libc.func('void *malloc(size_t)')
  known = {
    ...functions,
    bpf: (command, attributes, size) => Number(syscall(bpf, command, attributes, size)),
    errno: () => errnoText(koffi),
    allocate: (bytes) => memoryAt(koffi, malloc(bytes), bytes),
    mapFile: (descriptor, bytes) => {
      const pointer = mmap(0, bytes, readWrite, shared, descriptor, 0)
      if (koffi.address(pointer) === mapFailed) throw new KernelRefused('memory is mapped', errnoText(koffi))
      return memoryAt(koffi, pointer, bytes)
    },
    unmap: ({ address, bytes }) => {
      munmap(address, bytes.length)
    },
  }
  return known
}

/** The result of a call that must not fail. */
export function must(libc: Libc, result: number, what: string): number {
  if (result < 0) throw new KernelRefused(what, libc.errno())
  return result
}

/** A 32-bit number as the bytes of an int. */
export function intBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setInt32(0, value, true)
  return bytes
}

/** The number in the bytes of an int. */
export function intOf(bytes: Uint8Array): number {
  assert(bytes.length >= 4, 'an int has four bytes')
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true)
}
