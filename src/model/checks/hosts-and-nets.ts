// What a host stands on exists: nets under devices, nodes under namespaces and pods, a kernel that is followed.
import { didYouMean } from '../../base/closest.ts'
import type { Report } from '../../base/diagnostic.ts'
import type { Kernel, Word } from '../../syntax/ast.ts'
import { mistake, mistakeIn } from '../diagnose.ts'
import type { WorldDraft } from '../resolve/world.ts'
import { isOpen } from '../words/fill.ts'
import { isMachine } from '../world/entities.ts'

/** The release whose behaviour is followed; older ones gate what they lack. */
const newest = { major: 6, minor: 18 } as const

function kernelIsKnown({ version }: Kernel, report: Report): void {
  if (isOpen(version)) return
  const [major = 0, minor = 0] = version.text.split('.').map(Number)
  if (major < newest.major || (major === newest.major && minor <= newest.minor)) return
  const hint = `the newest that is followed is ${newest.major}.${newest.minor}`
  report(mistakeIn('S108', version, `Linux ${version.text} is not known`, { hint }))
}

/** Names of nets and nodes, and kernels. */
export function hostsAndNets({ entities }: WorldDraft, report: Report): void {
  const { hosts, nets } = entities
  const nodes = [...hosts.values()].filter((host) => host.kind === 'node').map((host) => host.name)
  const net = (word: Word): void => {
    if (nets.has(word.text)) return
    const hint = didYouMean(word.text, nets.keys()) ?? `declare it with \`net ${word.text} PREFIX\``
    report(mistakeIn('S103', word, `no net is called \`${word.text}\``, { hint }))
  }
  const node = (word: Word): void => {
    if (nodes.includes(word.text)) return
    report(
      mistakeIn('S103', word, `no node is called \`${word.text}\``, { hint: didYouMean(word.text, nodes) }),
    )
  }
  for (const item of entities.items) {
    if (item.kind === 'kernel') kernelIsKnown(item, report)
    if (!isMachine(item)) continue
    if (item.kind === 'external') net(item.net)
    if (item.kind === 'pod') node(item.node)
    if (item.kind === 'netns' && item.on !== null) node(item.on)
    for (const each of item.items) {
      if (each.kind === 'dev' && each.net !== null) net(each.net)
      if (each.kind === 'kernel') kernelIsKnown(each, report)
    }
    if (item.items.some((each) => each.kind === 'hostport') && item.kind !== 'pod') {
      report(
        mistake('S125', item.name.span, `a ${item.kind} has no host ports`, {
          hint: '`hostport` belongs into a pod',
        }),
      )
    }
  }
}
