// A veth or netkit device has exactly one other end, and both ends agree.
import type { Report } from '../../base/diagnostic.ts'
import { mistakeIn } from '../diagnose.ts'
import { hostNamed } from '../resolve/scope.ts'
import type { WorldDraft } from '../resolve/world.ts'
import type { DeviceDraft, HostDraft } from '../world/entities.ts'

/** Ends that name nobody, themselves, or somebody who names a third. */
export function vethPairs({ entities, scope }: WorldDraft, report: Report): void {
  for (const host of entities.hosts.values()) {
    for (const device of host.devices.values()) {
      if (device.kind !== 'veth' && device.kind !== 'netkit') continue
      if (device.peer === undefined || device.syntax === undefined) continue
      const { peer } = device
      const other = hostNamed(peer.word, scope, peer.host)
      if (other !== undefined) agree(device, { ...peer, other }, report)
    }
  }
}

function agree(
  device: DeviceDraft,
  peer: {
    readonly other: HostDraft
    readonly device: string
    readonly word: NonNullable<DeviceDraft['peer']>['word']
  },
  report: Report,
): void {
  const own = `${device.host}/${device.name}`
  const wanted = `${peer.other.name}/${peer.device}`
  const end = peer.other.devices.get(peer.device)
  if (own === wanted) {
    report(mistakeIn('S133', peer.word, `\`${own}\` cannot be its own other end`))
    return
  }
  if (end === undefined) return
  const notes = [{ message: `\`${wanted}\` is declared here`, span: end.span }]
  if (end.kind !== device.kind) {
    report(
      mistakeIn('S133', peer.word, `\`${wanted}\` is not a ${device.kind} device`, {
        hint: `it is a ${end.kind} device`,
        notes,
      }),
    )
    return
  }
  const back = end.peer === undefined ? undefined : `${end.peer.host}/${end.peer.device}`
  if (back === own) return
  report(
    mistakeIn('S133', peer.word, `\`${wanted}\` is the other end of \`${back ?? 'nothing'}\``, {
      hint: `one end must name the other: \`peer ${own}\``,
      notes,
    }),
  )
}
