// A cluster of Cilium's agents: its manifests are right, its options are options, and the agents would start. What all this
// means is known outside; here its remarks get their places.
import type { Report } from '../../base/diagnostic.ts'
import type { Manifest, Pod } from '../../syntax/ast.ts'
import type { CiliumModel, ClusterKnowledge } from '../cluster.ts'
import { mistake, warning } from '../diagnose.ts'
import { notYet } from '../resolve/unavailable.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { isSet } from '../words/options.ts'
import { importPath } from '../world/link.ts'
import { manifestSpan } from '../world/manifests.ts'

/** A path of a manifest names a file. */
function filesExist({ text }: Manifest, { manifests }: CiliumModel, report: Report): void {
  if (text.form === 'block') return
  const path = importPath(text.span.source.name, text.text)
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const last = path.slice(folder.length).split('*')
  const isLike = (name: string): boolean =>
    name.startsWith(folder + (last[0] ?? '')) &&
    name.endsWith(last.at(-1) ?? '') &&
    !name.slice(folder.length).includes('/')
  if (manifests.some(({ source, start }) => start === 0 && isLike(source.name))) return
  report(
    mistake('S129', text.span, `there is no file \`${path}\``, {
      hint: 'the path is taken from this file’s folder',
    }),
  )
}

/** A pod on the host's network has the addresses of its node. */
function onHostHasNoAddress({ options, addresses: [address], name }: Pod, report: Report): void {
  if (!isSet(options, 'hostnetwork') || address === undefined || address.form === 'quoted') return
  report(
    mistake('S118', address.span, `pod \`${name.text}\` is on the host's network`, {
      hint: 'it has the addresses of its node: leave this one away',
    }),
  )
}

/** A check with what is known of clusters. */
export function ciliumClusters(clusters: ClusterKnowledge): (world: WorldDraft, report: Report) => void {
  return ({ world: { cilium }, entities, applied }, report) => {
    if (cilium === undefined) return
    for (const item of [...entities.linked.manifests, ...entities.items]) {
      if (item.kind === 'manifest') filesExist(item, cilium, report)
    }
    for (const pod of entities.pods) onHostHasNoAddress(pod, report)
    let isSound = true
    for (const text of [...cilium.manifests, ...applied]) {
      for (const each of clusters.readManifest(text.text).mistakes) {
        const span = manifestSpan(text, each)
        const extra = each.hint === undefined ? {} : { hint: each.hint }
        if (each.severity === 'later') notYet(span, each.message, report)
        else report((each.severity === 'error' ? mistake : warning)('S146', span, each.message, extra))
        if (each.severity === 'error') isSound = false
      }
    }
    for (const each of clusters.examineOptions(cilium)) {
      report(each)
      if (each.severity === 'error') isSound = false
    }
    if (isSound) for (const each of clusters.examineObjects(cilium)) report(each)
  }
}
