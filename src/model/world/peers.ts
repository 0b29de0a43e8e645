// Both ends of a veth or netkit pair. A file may declare both, or only one that names the other; then the other end is made, in the
// namespace and with the name that were given.
import type { Word } from '../../syntax/ast.ts'
import { deriveMac } from './derive.ts'
import type { DeviceDraft, HostDraft } from './entities.ts'

/** Makes the ends that nobody declared, and ties an end without a `peer` of its own to the one that names it. */
export function completePeers(hosts: ReadonlyMap<string, HostDraft>, taken: Set<number>): void {
  for (const host of hosts.values()) {
    for (const device of [...host.devices.values()]) {
      const isPair = device.kind === 'veth' || (device.kind === 'netkit' && device.syntax?.type === 'netkit')
      if (isPair && device.peer !== undefined) complete(device, device.peer, hosts, taken)
    }
  }
}

function complete(
  device: DeviceDraft,
  peer: { readonly host: string; readonly device: string; readonly word: Word },
  hosts: ReadonlyMap<string, HostDraft>,
  taken: Set<number>,
): void {
  const other = hosts.get(peer.host)
  if (other === undefined || (peer.host === device.host && peer.device === device.name)) return
  const end = other.devices.get(peer.device)
  const back = { host: device.host, device: device.name, word: peer.word }
  if (end === undefined) {
    other.devices.set(peer.device, {
      host: peer.host,
      name: peer.device,
      kind: device.kind,
      syntax: undefined,
      net: undefined,
      addresses: [],
      isMisread: false,
      options: [],
      mac: deriveMac(`${peer.host}/${peer.device}`, taken),
      peer: back,
      span: peer.word.span,
    })
  } else if (end.peer === undefined && (end.kind === 'unknown' || end.kind === device.kind)) {
    other.devices.set(peer.device, { ...end, kind: device.kind, peer: back })
  }
}
