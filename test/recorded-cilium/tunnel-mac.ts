// The MAC address of a node's tunnel device: the kernel's random choice, which no recording names. It is seen where a frame out of
// the tunnel enters the node itself.
import { parseMac } from '../../src/net/mac.ts'
import type { RecordedEvent, RecordedRun } from './case.ts'
import { macs, pods, type TunnelMacs } from './topology.ts'

const digits = (mac: string): string => mac.replaceAll(':', '')

/** Source addresses that a frame may have anyway. */
const named: ReadonlySet<string> = new Set(
  [
    ...[1, 2].flatMap((node) => [macs.eth0(node), macs.ciliumHost(node), macs.ciliumNet(node)]),
    ...pods.flatMap(({ mac, nodeMac }) => [mac, nodeMac]),
    macs.client,
    '00:00:00:00:00:00',
  ].map(digits),
)

function seenAt(event: RecordedEvent): [node: number, mac: number] | undefined {
  const { kind, ns = '', dev, dir, hex = '' } = event
  const source = hex.slice(12, 24)
  // 1.19 redirects it to cilium_host, 1.10 through cilium_net
  const enters =
    kind === 'packet' && (dev === 'cilium_host' ? dir === 'in' : dev === 'cilium_net' && dir === 'out')
  if (!enters || named.has(source)) return undefined
  const mac = parseMac((source.match(/../g) ?? []).join(':'))
  return mac === undefined ? undefined : [Number(ns.slice(1)), mac]
}

/** What a run shows of them, by node. */
export function tunnelMacsOf({ steps }: RecordedRun): TunnelMacs {
  const all = steps.flatMap(({ timeline }) => timeline.map(seenAt).filter((found) => found !== undefined))
  // the first that is seen counts
  return new Map(all.reverse())
}
