// `ip [-d] [-s] [-br] link`, as iproute2 6.1 prints it, trailing blanks included.
import { formatMac, macFrom } from '../../net/mac.ts'
import type { NetDevice } from '../device/device.ts'
import type { XdpMode } from '../xdp.ts'
import { type BpfObjects, objectName, programId, programTag } from './bpf-objects.ts'
import { linkDetail, slaveDetail, tailDetail } from './link-detail.ts'
import { flagsText, linkedTo, nameWithLink, operationalState, qdiscName } from './link-state.ts'
import { statisticsLines } from './link-statistics.ts'

export interface LinkOptions {
  readonly details: boolean
  readonly statistics: boolean
  readonly brief: boolean
  readonly objects: BpfObjects
}

const xdpWords: Readonly<Record<XdpMode, string>> = {
  native: 'xdp',
  generic: 'xdpgeneric',
  offload: 'xdpoffload',
}

/** `master cni0 ` and the words around it: the first line up to `state`. `id` is printed by `ip addr` only. */
export function headLine(
  dev: NetDevice,
  options: { readonly objects: BpfObjects; readonly id: boolean },
): string {
  const { xdp } = dev
  const id = xdp === undefined || !options.id ? '' : `/id:${programId(options.objects, xdp.program)}`
  const words = [
    `${dev.ifindex}: ${nameWithLink(dev)}: ${flagsText(dev)}`,
    `mtu ${dev.mtu}`,
    ...(xdp === undefined ? [] : [`${xdpWords[xdp.mode]}${id}`]),
    `qdisc ${qdiscName(dev)}`,
    ...(dev.master === undefined ? [] : [`master ${dev.master.name}`]),
    `state ${operationalState(dev)}`,
  ]
  return words.join(' ')
}

/** ` link-netns pod`, where the linked device is in another namespace. */
export function netnsWords(dev: NetDevice): string {
  const link = linkedTo(dev)
  return link === undefined || link.ns === dev.ns ? '' : ` link-netns ${link.ns.name}`
}

/** `    link/ether 02:.. brd ff:ff:ff:ff:ff:ff link-netns pod` */
export function addressLine(dev: NetDevice): string {
  if (dev.kind === 'loopback') return '    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00'
  if (dev.kind === 'ipip') return `    link/ipip 0.0.0.0 brd 0.0.0.0`
  if (dev.kind === 'wireguard') return '    link/none '
  return `    link/ether ${formatMac(macFrom(dev.mac))} brd ff:ff:ff:ff:ff:ff${netnsWords(dev)}`
}

function linkLines(dev: NetDevice, options: LinkOptions): readonly string[] {
  const { xdp } = dev
  const program =
    xdp === undefined
      ? []
      : [
          `    prog/xdp id ${programId(options.objects, xdp.program)} name ${objectName(xdp.program.name)} tag ${programTag(xdp.program)} `,
        ]
  const head = `${headLine(dev, { objects: options.objects, id: false })} mode DEFAULT group default qlen 1000`
  const statistics = options.statistics ? statisticsLines(dev) : []
  if (!options.details) return [head, addressLine(dev), ...program, ...statistics]
  const [first, ...kinds] = [...linkDetail(dev), ...slaveDetail(dev)]
  const detailed = [`${addressLine(dev)} ${first}`, ...kinds]
  detailed[detailed.length - 1] += tailDetail
  return [head, ...detailed, ...program, ...statistics]
}

function briefLine(dev: NetDevice): string {
  const mac = dev.kind === 'loopback' ? '00:00:00:00:00:00' : formatMac(macFrom(dev.mac))
  return `${briefHead(dev)}${mac} ${flagsText(dev)} `
}

/** `veth0@if3        UP             ` */
export function briefHead(dev: NetDevice): string {
  return `${nameWithLink(dev).padEnd(16)} ${operationalState(dev).padEnd(14)} `
}

/** `ip link` of these devices. */
export function showLinks(devices: readonly NetDevice[], options: LinkOptions): string {
  const lines = devices.flatMap((dev) => (options.brief ? [briefLine(dev)] : linkLines(dev, options)))
  return lines.map((line) => `${line}\n`).join('')
}
