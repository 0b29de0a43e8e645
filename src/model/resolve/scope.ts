// What the readers of a world need: who is there, and where to say what is wrong. Names are looked up here and nowhere
// else, so that every unknown name gets the same message.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Manifest, Word } from '../../syntax/ast.ts'
import type { ClusterKnowledge, ManifestText } from '../cluster.ts'
import { mistakeIn } from '../diagnose.ts'
import { isOpen } from '../words/fill.ts'
import { podConnection } from '../world/cluster-devices.ts'
import type { DeviceDraft, Entities, HostDraft } from '../world/entities.ts'

/** What is known of the manifests of a world and of its steps. */
export interface ManifestScope {
  readonly texts: (item: Manifest) => readonly ManifestText[]
  readonly read: ClusterKnowledge['readManifest']
  /** Those of the topology. */
  readonly world: readonly ManifestText[]
  /** Policies of the world and of all steps: `default/api`, or `all` without a namespace. */
  readonly policies: ReadonlySet<string>
}

export interface Scope {
  readonly entities: Entities
  readonly report: Report
  /** Absent where no cluster of agents is. */
  readonly manifests?: ManifestScope
}

/** The host (node, netns, external or pod) of that name. */
export function hostNamed(word: Word, { entities, report }: Scope, text = word.text): HostDraft | undefined {
  const host = entities.hosts.get(text)
  if (host !== undefined || isOpen(word)) return host
  report(
    mistakeIn('S103', word, `nothing is called \`${text}\``, {
      hint: didYouMean(text, entities.hosts.keys()),
    }),
  )
  return undefined
}

/** The device of that name on a host; `lo` is on every host. */
export function deviceNamed(
  word: Word,
  host: HostDraft,
  { report }: Scope,
  text = word.text,
): DeviceDraft | 'lo' | undefined {
  const device = host.devices.get(text)
  if (device !== undefined) return device
  if (text === 'lo') return 'lo'
  if (isOpen(word)) return undefined
  report(
    mistakeIn('S103', word, `\`${host.name}\` has no device \`${text}\``, {
      hint: didYouMean(text, host.devices.keys()),
    }),
  )
  return undefined
}

/**
 * Whether devices of a host may be made by a CNI plugin whose engine does not exist yet: `n1/cni0`. Of the others it is
 * known what they make.
 */
export function isMadeByAgent(host: HostDraft, { entities }: Scope): boolean {
  if (host.kind !== 'node' || entities.clusters.length === 0) return false
  return podConnection(entities.clusters) === undefined // otherwise its devices are known
}

/** The devices that a place on a host may name, for suggestions. */
export function deviceNames(host: HostDraft): readonly string[] {
  return [...host.devices.keys(), 'lo']
}
