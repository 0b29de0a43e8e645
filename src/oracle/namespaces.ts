// Network namespaces without names: each lives exactly as long as a file descriptor of this process, so nothing is left
// behind however the process ends. Commands run inside one by entering it first; a child starts where its parent is.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { present } from '../base/assert.ts'
import { KernelRefused, type Libc, must, NotPossible } from './native.ts'

const cloneNewNet = 0x4000_0000
const readOnlyCloseOnExec = 0x80000

/** The namespaces of one scenario. */
export class Namespaces {
  private readonly libc: Libc
  private readonly home: number
  private readonly descriptors = new Map<string, number>()

  constructor(libc: Libc) {
    this.libc = libc
    this.home = this.openOwn()
  }

  private openOwn(): number {
    return must(
      this.libc,
      this.libc.open('/proc/thread-self/ns/net', readOnlyCloseOnExec),
      'the network namespace is opened',
    )
  }

  /** Makes a namespace. Throws NotPossible without CAP_SYS_ADMIN. */
  add(name: string): void {
    if (this.libc.unshare(cloneNewNet) < 0) {
      const errno = this.libc.errno()
      throw new NotPossible(`a network namespace cannot be made (${errno}): CAP_SYS_ADMIN is needed`)
    }
    this.descriptors.set(name, this.openOwn())
    this.leave()
  }

  has(name: string): boolean {
    return this.descriptors.has(name)
  }

  /** What iproute2 takes after `netns`: a path to a namespace of this process. */
  path(name: string): string {
    return `/proc/${process.pid}/fd/${this.descriptor(name)}`
  }

  /** Does something inside a namespace and comes back. */
  within<T>(name: string, work: () => T): T {
    must(this.libc, this.libc.setns(this.descriptor(name), cloneNewNet), `namespace ${name} is entered`)
    try {
      return work()
    } finally {
      this.leave()
    }
  }

  /** Runs lines through `ip -batch`, `bridge -batch`. Throws KernelRefused with what the tool said. */
  batch(name: string, tool: readonly string[], lines: readonly string[]): void {
    if (lines.length === 0) return
    const said = this.run(name, [...tool, '-batch', '-'], `${lines.join('\n')}\n`)
    if (said === undefined) return
    const number = Number(/Command failed -:(\d+)/.exec(said)?.[1] ?? 1)
    throw new KernelRefused(`${tool.join(' ')} ${lines[number - 1] ?? ''} in ${name}`, said)
  }

  /** Gives a text to a command inside a namespace. Throws KernelRefused with what the tool said. */
  pipe(name: string, command: readonly string[], input: string): void {
    const said = this.run(name, command, input)
    if (said !== undefined) throw new KernelRefused(`${command.join(' ')} in ${name}`, said)
  }

  /** What a command prints inside a namespace; undefined when it fails or is not installed. */
  read(name: string, words: readonly string[]): string | undefined {
    const [command = '', ...options] = words
    const result = this.within(name, () => spawnSync(command, options, { encoding: 'utf8' }))
    return result.error === undefined && result.status === 0 ? result.stdout : undefined
  }

  /** What the tool said when it failed. */
  private run(name: string, words: readonly string[], input: string): string | undefined {
    const [command = '', ...options] = words
    const result = this.within(name, () => spawnSync(command, options, { input, encoding: 'utf8' }))
    if (result.error !== undefined) throw new NotPossible(`\`${command}\` cannot be run; is it installed?`)
    return result.status === 0 ? undefined : result.stderr.trim()
  }

  /** Writes a sysctl by its dotted name; device names may hold dots. False when this kernel has none of the name. */
  sysctl(name: string, path: string, value: string): boolean {
    return this.within(name, () => {
      try {
        writeFileSync(path, value)
        return true
      } catch {
        return false
      }
    })
  }

  /** The text of a file below /proc/net as the namespace has it. */
  procNet(name: string, file: string): string {
    return this.within(name, () => readFileSync(`/proc/thread-self/net/${file}`, 'utf8'))
  }

  /** Lets all namespaces go; the kernel takes them apart with everything in them. */
  close(): void {
    for (const descriptor of this.descriptors.values()) this.libc.close(descriptor)
    this.descriptors.clear()
    this.libc.close(this.home)
  }

  private leave(): void {
    must(this.libc, this.libc.setns(this.home, cloneNewNet), 'the way back')
  }

  private descriptor(name: string): number {
    return present(this.descriptors.get(name), `namespace ${name} was made`)
  }
}

const perDevice = /^net\.(ipv[46])\.(conf|neigh)\.(.+)\.([a-z0-9_]+)$/

/** The file of a sysctl. */
export function sysctlPath(key: string): string {
  const [, family, group, device, leaf] = perDevice.exec(key) ?? []
  if (family === undefined) return `/proc/sys/${key.replaceAll('.', '/')}`
  return `/proc/sys/net/${family}/${group}/${device}/${leaf}`
}
