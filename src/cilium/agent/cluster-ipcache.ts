// The ipcaches of a cluster's nodes. Nodes with the same settings write nearly the same entries: everything as it is seen from
// elsewhere is one list for all of them, and what is a node's own stands in front of it.
import { formatIp, type IpAddress } from '../../net/address.ts'
import { formatPrefix, hostPrefix } from '../../net/prefix.ts'
import type { AgentConfig } from './config.ts'
import { type IpcacheEntry, ipcacheOf } from './ipcache.ts'
import type { NodeAddresses } from './node-addresses.ts'
import type { Registry } from './registry.ts'
import type { AgentPod } from './told.ts'

/** A node's ipcache in two lists: an entry of `own` takes the place of one of `shared` with the same prefix. */
export interface IpcacheParts {
  /** The same object for all nodes with the same settings. */
  readonly shared: readonly IpcacheEntry[]
  readonly own: readonly IpcacheEntry[]
}

/** A list with its prefixes. */
interface Seen {
  readonly list: readonly IpcacheEntry[]
  readonly keys: ReadonlySet<string>
}

function keysOf(entries: readonly IpcacheEntry[]): ReadonlySet<string> {
  return new Set(entries.map(({ prefix }) => formatPrefix(prefix)))
}

/** The ipcaches of all nodes; what is shared is made when it is asked for. */
export class ClusterIpcache {
  readonly #all: readonly NodeAddresses[]
  readonly #pods: readonly AgentPod[]
  readonly #registry: Registry
  readonly #podsAt = new Map<string, AgentPod[]>()
  readonly #seen = new Map<AgentConfig, Seen>()

  constructor(all: readonly NodeAddresses[], pods: readonly AgentPod[], registry: Registry) {
    this.#all = all
    this.#pods = pods
    this.#registry = registry
    for (const pod of pods) {
      for (const key of pod.addresses.map(formatIp)) {
        const there = this.#podsAt.get(key)
        if (there === undefined) this.#podsAt.set(key, [pod])
        else there.push(pod)
      }
    }
  }

  /** Every entry of a node. */
  of(own: NodeAddresses): readonly IpcacheEntry[] {
    return ipcacheOf(own, this.#all, this.#pods, this.#registry)
  }

  /** The same in parts; `pods` are those of the node. */
  parts(own: NodeAddresses, pods: readonly AgentPod[]): IpcacheParts {
    const { list, keys } = this.#elsewhere(own)
    const addresses = [...own.host, ...own.health, ...pods.flatMap((pod) => pod.addresses)]
    const here = new Set(addresses.map((address) => formatPrefix(hostPrefix(address))))
    const entries = this.#at(own, addresses).filter(({ prefix }) => here.has(formatPrefix(prefix)))
    const known = keysOf(entries)
    // a node that lacks what others have of it shares nothing
    const lacks = [...here].some((key) => keys.has(key) && !known.has(key))
    return lacks ? { shared: [], own: this.of(own) } : { shared: list, own: entries }
  }

  /** A node's entries as far as they depend on the pods with these addresses. */
  #at(own: NodeAddresses, addresses: readonly IpAddress[]): readonly IpcacheEntry[] {
    const pods = new Set(addresses.flatMap((address) => this.#podsAt.get(formatIp(address)) ?? []))
    return ipcacheOf(own, this.#all, [...pods], this.#registry)
  }

  /** What a node with the settings of this one would write if nothing of the cluster were its own. */
  #elsewhere(own: NodeAddresses): Seen {
    const { config } = own.node
    const known = this.#seen.get(config)
    if (known !== undefined) return known
    const list = this.of({
      ...own,
      node: { ...own.node, name: '' },
      own: [],
      router: [],
      health: [],
      host: [],
    })
    const made: Seen = { list, keys: keysOf(list) }
    this.#seen.set(config, made)
    return made
  }
}
