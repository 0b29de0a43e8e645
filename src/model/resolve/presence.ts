// What is still there when a step is taken: devices and hosts go by `delete`, and with a device its far end and those above it.
import type { Report } from '../../base/diagnostic.ts'
import type { Span } from '../../base/text.ts'
import type { DeviceModel } from '../device-model.ts'
import { mistake } from '../diagnose.ts'
import type { World } from '../model.ts'
import type { HostChange, Step } from '../step.ts'

/** Tells of steps that speak of what an earlier step has taken away, and of deletions that no kernel carries out. */
export function checkPresence(world: World, steps: readonly Step[], report: Report): void {
  if (!steps.some(takesAway)) return
  const presence = new Presence(world, report)
  for (const step of steps) presence.take(step)
}

function takesAway(step: Step): boolean {
  if (step.kind === 'change') return step.change.verb === 'del' && step.change.item.kind === 'dev'
  return step.kind === 'delete' || (step.kind === 'cluster' && step.change.kind === 'delete-pod')
}

/** The device of a setting: `net.ipv4.conf.eth0.rp_filter`. */
const deviceSetting = /^net\.ipv[46]\.(?:conf|neigh)\.(?!all\.|default\.)(.+)\.[a-z0-9_]+$/

/** The devices that a change speaks of. */
function devicesOf({ verb, item }: HostChange): readonly string[] {
  switch (item.kind) {
    case 'route':
      return item.route.nexthops.flatMap(({ device }) => device ?? [])
    case 'neigh':
      return [item.neighbour.device]
    case 'fdb':
      return [item.fdb.device]
    case 'addr':
      return [item.device]
    case 'dev':
      return verb === 'del' ? [item.device.name] : [item.device.lower ?? '', item.device.master ?? '']
    case 'sysctl':
      return [deviceSetting.exec(item.key)?.[1] ?? '']
    default:
      return []
  }
}

class Presence {
  private readonly report: Report
  /** By `HOST/DEVICE`. */
  private readonly devices = new Map<string, DeviceModel>()
  /** What has gone, hosts and devices, and the step that it went with. */
  private readonly gone = new Map<string, Span>()

  constructor(world: World, report: Report) {
    this.report = report
    for (const { name, devices } of world.namespaces)
      for (const device of devices) this.devices.set(`${name}/${device.name}`, device)
  }

  take(step: Step): void {
    const { span } = step
    switch (step.kind) {
      case 'packet':
      case 'link':
      case 'set':
        this.needs(`${step.namespace}/${step.device}`, span)
        return
      case 'delete':
        if (step.device !== undefined) this.deletes(step.namespace, step.device, span)
        else if (this.needs(step.namespace, span)) this.removeHost(step.namespace, span)
        return
      case 'cluster':
        if (step.change.kind === 'delete-pod') this.removeHost(step.change.pod, span)
        else if ('pod' in step.change) this.comes(step.change.pod)
        return
      case 'change':
        this.changes(step.change, span)
    }
  }

  private changes(change: HostChange, span: Span): void {
    const { namespace, verb, item } = change
    if (!this.needs(namespace, span)) return
    if (item.kind === 'dev' && verb === 'del') {
      this.deletes(namespace, item.device.name, span)
      return
    }
    for (const device of devicesOf(change)) this.needs(`${namespace}/${device}`, span)
    if (item.kind !== 'dev') return
    const { device } = item
    this.devices.set(`${namespace}/${device.name}`, device)
    this.gone.delete(`${namespace}/${device.name}`)
    if (device.peer !== undefined) this.gone.delete(`${device.peer.namespace}/${device.peer.device}`)
  }

  /** Tells when something has gone; whether it is there. */
  private needs(place: string, span: Span): boolean {
    const [host = ''] = place.split('/')
    const at = this.gone.get(place) ?? this.gone.get(host)
    if (at === undefined) return true
    const what = this.gone.has(host) ? host : place
    this.report(
      mistake('S118', span, `\`${what}\` is not there any more`, {
        hint: 'with a device its far end goes, and those above it; with a host all of its devices',
        notes: [{ message: 'it goes here', span: at }],
      }),
    )
    return false
  }

  private deletes(namespace: string, device: string, span: Span): void {
    const place = `${namespace}/${device}`
    if (!this.needs(place, span)) return
    const kind = device === 'lo' ? 'lo' : this.devices.get(place)?.kind
    if (kind === 'phys' || kind === 'lo') {
      const what = kind === 'lo' ? 'lo' : 'a network card'
      const hint = `write \`link ${place} down\``
      this.report(mistake('S118', span, `${what} cannot be deleted (EOPNOTSUPP)`, { hint }))
      return
    }
    this.remove(namespace, device, span)
  }

  private remove(namespace: string, name: string, span: Span): void {
    const place = `${namespace}/${name}`
    const device = this.devices.get(place)
    if (this.gone.has(place)) return
    this.gone.set(place, span)
    this.devices.delete(place)
    for (const [other, { lower, name: upper }] of this.devices)
      if (lower === name && other === `${namespace}/${upper}`) this.remove(namespace, upper, span)
    if (device?.peer !== undefined) this.remove(device.peer.namespace, device.peer.device, span)
  }

  private removeHost(host: string, span: Span): void {
    for (const place of [...this.devices.keys()])
      if (place.startsWith(`${host}/`)) this.remove(host, place.slice(host.length + 1), span)
    this.gone.set(host, span)
  }

  private comes(host: string): void {
    for (const place of [...this.gone.keys()])
      if (place === host || place.startsWith(`${host}/`)) this.gone.delete(place)
  }
}
