// Hosts by name. A pod on the host's network has no namespace of its own: its name is another one for its node.
import type { HostDraft } from './entities.ts'

/** A map of hosts in which pods on the host's network are found as their nodes; they are not among its entries. */
export class Hosts extends Map<string, HostDraft> {
  readonly #nodes: Map<string, string>

  constructor(like?: Hosts) {
    super()
    this.#nodes = new Map(like === undefined ? [] : like.#nodes)
    for (const [name, host] of like ?? []) this.set(name, host)
  }

  /** Makes a name another one for a node. */
  addName(name: string, node: string): void {
    this.#nodes.set(name, node)
  }

  /** The node of a pod on the host's network; undefined for every other name. */
  nodeOf(name: string): string | undefined {
    return this.#nodes.get(name)
  }

  override get(name: string): HostDraft | undefined {
    return super.get(this.#nodes.get(name) ?? name)
  }

  override has(name: string): boolean {
    return super.has(this.#nodes.get(name) ?? name)
  }
}
