// The cgroups of a scenario on the real kernel (cgroup2): one for each host with programs, that of a netns below its
// node's. A socket belongs to the cgroup that its process is in when it is made, so this process goes there and comes
// back. The folders are removed in `close`; what is left of a crash is empty and harmless.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import type { World } from '../model/model.ts'
import { KernelLacks, KernelRefused } from './native.ts'
import { pause } from './pause.ts'

/** Where cgroup2 is mounted. */
function mountOf(): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const found = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2')?.[1]
  if (found === undefined) throw new KernelLacks('this machine has no cgroup2 mounted')
  return found
}

/** The path of this process's own cgroup below the mount. */
function ownPath(): string {
  const line = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find((each) => each.startsWith('0::'))
  return line?.slice('0::'.length).replace(/\/$/, '') ?? ''
}

let made = 0

/** How the folders of a process begin. */
function prefixOf(pid: number): string {
  return `scn-${pid}-`
}

/** Milliseconds until a killed process is surely gone from its cgroup. */
const goneMs = 500

/** Removes the cgroups of a process that was killed and could not do it. */
export function sweepCgroups(pid: number): void {
  let mount: string
  try {
    mount = mountOf()
  } catch {
    return // no cgroups, nothing to remove
  }
  const folders = readdirSync(mount).filter((name) => name.startsWith(prefixOf(pid)))
  for (const folder of folders) removeTree(`${mount}/${folder}`, goneMs)
}

/** Removes a cgroup with those below it; one that still holds a process is tried again for a while. */
function removeTree(folder: string, patienceMs: number): void {
  for (const { name } of readdirSync(folder, { withFileTypes: true }).filter((each) => each.isDirectory()))
    removeTree(`${folder}/${name}`, patienceMs)
  for (let waited = 0; ; waited += 1) {
    try {
      return rmdirSync(folder)
    } catch {
      if (waited >= patienceMs) return
      pause(1)
    }
  }
}

export class Cgroups {
  private readonly folders = new Map<string, string>()
  private readonly home: string

  /** Makes the cgroups of every host if any of them has programs. */
  constructor(world: World) {
    this.home = ''
    if (!world.namespaces.some(({ cgroup }) => cgroup !== undefined)) return
    const mount = mountOf()
    this.home = `${mount}${ownPath()}`
    made += 1
    const base = `${mount}/${prefixOf(process.pid)}${made}`
    try {
      mkdirSync(base)
      this.folders.set('', base)
      const nodesFirst = [...world.namespaces].sort(
        (left, right) => Number(left.node !== left.name) - Number(right.node !== right.name),
      )
      for (const { name, node } of nodesFirst) {
        const parent = node === name ? base : (this.folders.get(node) ?? base)
        const folder = `${parent}/${name}`
        if (!existsSync(folder)) mkdirSync(folder)
        this.folders.set(name, folder)
      }
    } catch (problem) {
      this.close()
      throw new KernelRefused('cgroups are made', String(problem))
    }
  }

  /** The folder of a host; undefined when the scenario has no programs of cgroups. */
  folder(name: string): string | undefined {
    return this.folders.get(name)
  }

  /** Does something as a process of a host's cgroup. */
  within<T>(name: string, work: () => T): T {
    const folder = this.folder(name)
    if (folder === undefined) return work()
    writeFileSync(`${folder}/cgroup.procs`, String(process.pid))
    try {
      return work()
    } finally {
      writeFileSync(`${this.home}/cgroup.procs`, String(process.pid))
    }
  }

  close(): void {
    for (const folder of [...this.folders.values()].reverse()) {
      try {
        rmdirSync(folder)
      } catch {
        // somebody is still in it
      }
    }
    this.folders.clear()
  }
}
