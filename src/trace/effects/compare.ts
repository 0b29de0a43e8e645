// The difference of two snapshots of one packet. Enters: before and after a hook; leaves: what changed, in the
// canonical order of a trace (NAT, header, tunnel). Nothing here knows who changed it.
import { type IpAddress, readIpv4, readIpv6, sameIp } from '../../net/address.ts'
import { bytesAre, readU8, readU16 } from '../../net/bytes.ts'
import { ethernetAt } from '../../net/ethernet.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { readMac } from '../../net/mac.ts'
import { etherTypeName, ipProtocolName } from '../../net/protocol.ts'
import type { Snapshot } from '../event.ts'
import type { Change, Endpoint } from './change.ts'
import { compareChecksums, compareFields, compareOptions } from './fields.ts'
import { dissectSnapshot, hasPorts, type Layers, layersIn, tunnelDepth } from './layers.ts'

/** What a hook did to the packet; empty when both are the same object. */
export function changesBetween(before: Snapshot, after: Snapshot): readonly Change[] {
  if (before === after) return []
  const changes: Change[] = []
  // most snapshots differ in what stands beside the bytes only: comparing those is cheaper than finding headers twice
  const sameBytes =
    before.start === after.start && bytesAre(before.bytes, 0, before.bytes.length, after.bytes)
  if (!sameBytes || before.vlanTci !== after.vlanTci) {
    const oldDissection = dissectSnapshot(before)
    const newDissection = sameBytes ? oldDissection : dissectSnapshot(after)
    const old = layersIn(oldDissection)
    const now = sameBytes ? old : layersIn(newDissection)
    if (!sameBytes) {
      compareLayers(old, now, changes)
      if (old.sealed?.kind === now.sealed?.kind) compareFields(oldDissection, newDissection, changes)
    }
    // only comparable inside one encapsulation: a tunnel hides the inner tags
    if (tunnelDepth(old) === tunnelDepth(now)) compareTags(allTags(before, old), allTags(after, now), changes)
  }
  if (before.metaBytes !== after.metaBytes) {
    changes.push({ kind: 'meta', beforeBytes: before.metaBytes, afterBytes: after.metaBytes })
  }
  if (after.tunnel !== undefined && before.tunnel !== after.tunnel) {
    // the same shapes: a number for IPv4, four words for IPv6
    changes.push({ kind: 'tunnel-key', remote: after.tunnel.remote as IpAddress })
  }
  if (before.mark !== after.mark) changes.push({ kind: 'mark', before: before.mark, after: after.mark })
  return changes
}

/** The tag beside the packet and the tags in it are one stack: moving a tag between them changes nothing for people. */
function allTags(snapshot: Snapshot, { tags }: Layers): readonly number[] {
  return snapshot.vlanTci >= 0 ? [snapshot.vlanTci, ...tags] : tags
}

function compareTags(old: readonly number[], now: readonly number[], changes: Change[]): void {
  if (old.length === now.length) {
    old.forEach((tci, index) => {
      const other = now[index] ?? tci
      if (tci !== other) changes.push({ kind: 'vlan-set', before: tci, after: other })
    })
    return
  }
  const action = now.length > old.length ? 'push' : 'pop'
  const [longer, shorter] = action === 'push' ? [now, old] : [old, now]
  for (const tci of longer.slice(0, longer.length - shorter.length))
    changes.push({ kind: 'vlan', action, tci })
}

/** Encrypted or decrypted: nothing else of both packets can be compared. */
function compareSealed(before: Layers, after: Layers, changes: Change[]): boolean {
  if (before.sealed?.kind === after.sealed?.kind) return false
  const outer = after.sealed === undefined ? before : after
  if (outer.sealed === undefined) return false
  changes.push({
    kind: 'tunnel',
    action: after.sealed === undefined ? 'pop' : 'push',
    tunnel: outer.sealed.kind,
    vni: outer.sealed.spi,
    source: sourceOf(outer),
    destination: destinationOf(outer),
  })
  return true
}

function compareLayers(before: Layers, after: Layers, changes: Change[]): void {
  if (compareSealed(before, after, changes)) return
  const deeper = tunnelDepth(after) - tunnelDepth(before)
  if (deeper > 0 && after.tunnel !== undefined) {
    compareLayers(before, after.tunnel.inner, changes)
    changes.push(tunnelChange(after, 'push'))
    return
  }
  if (deeper < 0 && before.tunnel !== undefined) {
    compareLayers(before.tunnel.inner, after, changes)
    changes.push(tunnelChange(before, 'pop'))
    return
  }
  if (before.family !== after.family || (before.family === 0 && before.etherType !== after.etherType)) {
    changes.push({ kind: 'packet', before: kindOf(before), after: kindOf(after) })
    return
  }
  if (before.family !== 0) compareIp(before, after, changes)
  if (before.tunnel !== undefined && after.tunnel !== undefined) {
    compareLayers(before.tunnel.inner, after.tunnel.inner, changes)
  } else comparePayload(before, after, changes)
  compareMacs(before, after, changes)
}

function tunnelChange(outer: Layers, action: 'push' | 'pop'): Change {
  return {
    kind: 'tunnel',
    action,
    tunnel: outer.tunnel?.kind ?? 'ipip',
    vni: outer.tunnel?.vni ?? -1,
    source: sourceOf(outer),
    destination: destinationOf(outer),
  }
}

function kindOf(layers: Layers): string {
  if (layers.malformed) return 'malformed'
  if (layers.family === 0) return layers.etherType === 0 ? 'frame' : etherTypeName(layers.etherType)
  return layers.family === 4 ? 'ipv4' : 'ipv6'
}

/** The source address of an IP packet. */
function sourceOf(layers: Layers): IpAddress {
  return layers.family === 4
    ? readIpv4(layers.bytes, layers.l3 + ipv4At.source)
    : readIpv6(layers.bytes, layers.l3 + 8)
}

/** The destination address of an IP packet. */
export function destinationOf(layers: Layers): IpAddress {
  return layers.family === 4
    ? readIpv4(layers.bytes, layers.l3 + ipv4At.destination)
    : readIpv6(layers.bytes, layers.l3 + 24)
}

/** Source and destination of an IP packet with their ports. */
export function endsOf(layers: Layers): { readonly source: Endpoint; readonly destination: Endpoint } {
  const ports = hasPorts(layers)
  return {
    source: { address: sourceOf(layers), port: ports ? readU16(layers.bytes, layers.l4) : -1 },
    destination: { address: destinationOf(layers), port: ports ? readU16(layers.bytes, layers.l4 + 2) : -1 },
  }
}

function sameEnd(left: Endpoint, right: Endpoint): boolean {
  return left.port === right.port && sameIp(left.address, right.address)
}

function compareIp(before: Layers, after: Layers, changes: Change[]): void {
  compareEnds(before, after, changes)
  compareOptions(before, after, changes)
  const ttlAt = before.family === 4 ? ipv4At.ttl : 7
  const [oldTtl, newTtl] = [readU8(before.bytes, before.l3 + ttlAt), readU8(after.bytes, after.l3 + ttlAt)]
  if (oldTtl !== newTtl) changes.push({ kind: 'ttl', before: oldTtl, after: newTtl })
  compareChecksums(before, after, changes)
}

function compareEnds(before: Layers, after: Layers, changes: Change[]): void {
  const old = endsOf(before)
  const now = endsOf(after)
  const sourceSame = sameEnd(old.source, now.source)
  const destinationSame = sameEnd(old.destination, now.destination)
  if (sourceSame && destinationSame) return
  if (sameEnd(old.source, now.destination) && sameEnd(old.destination, now.source)) {
    const layers = [before.family === 4 ? 'ip' : 'ip6']
    if (now.source.port >= 0) layers.push(ipProtocolName(after.protocol))
    changes.push({ kind: 'swap', before: old.source, after: now.source, layers })
    return
  }
  if (!destinationSame) changes.push({ kind: 'dnat', before: old.destination, after: now.destination })
  if (!sourceSame) changes.push({ kind: 'snat', before: old.source, after: now.source })
}

function comparePayload(before: Layers, after: Layers, changes: Change[]): void {
  const old = before.end - before.payload
  const now = after.end - after.payload
  let same = old === now
  for (let at = 0; same && at < old; at += 1) {
    same = before.bytes[before.payload + at] === after.bytes[after.payload + at]
  }
  if (!same) changes.push({ kind: 'payload', beforeBytes: old, afterBytes: now })
}

function compareMacs(before: Layers, after: Layers, changes: Change[]): void {
  if (before.ethernet < 0 || after.ethernet < 0) return
  for (const side of ['dst', 'src'] as const) {
    const offset = side === 'dst' ? ethernetAt.destination : ethernetAt.source
    const old = readMac(before.bytes, before.ethernet + offset)
    const now = readMac(after.bytes, after.ethernet + offset)
    if (old !== now) changes.push({ kind: 'mac', side, before: old, after: now })
  }
}
