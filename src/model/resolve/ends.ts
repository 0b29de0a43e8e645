// The ends of traffic: which host, which address, which MAC address and port. A name means its first address of the
// family that both ends have; an address that is somebody's belongs to that host.
import { broadcastIpv4, type IpAddress, type Ipv4, isIpv4, isMulticast, parseIp } from '../../net/address.ts'
import { broadcastMac, type Mac, multicastMacOf4, multicastMacOf6 } from '../../net/mac.ts'
import type { Endpoint, Word } from '../../syntax/ast.ts'
import { mistakeIn } from '../diagnose.ts'
import { looksLikeAddress } from '../words/addresses.ts'
import { isOpen } from '../words/fill.ts'
import { numberIn, ranges } from '../words/numbers.ts'
import { deriveMac } from '../world/derive.ts'
import { addressesOf, type DeviceDraft, type Entities, type HostDraft } from '../world/entities.ts'
import type { Scope } from './scope.ts'
import { addressesNamed } from './value.ts'

export interface End {
  /** Every address it may mean, in order. */
  readonly addresses: readonly IpAddress[]
  /** The host that it names, or that owns the address. */
  readonly host: HostDraft | undefined
  readonly port: number | undefined
  readonly word: Word
}

const owners = new WeakMap<Entities, Map<string, HostDraft>>()

/** The first host that has an address. */
export function ownerOf(address: IpAddress, entities: Entities): HostDraft | undefined {
  let map = owners.get(entities)
  if (map === undefined) {
    map = new Map()
    for (const host of entities.hosts.values()) {
      for (const each of addressesOf(host)) if (!map.has(String(each))) map.set(String(each), host)
    }
    owners.set(entities, map)
  }
  return map.get(String(address))
}

/** One end of a packet or flow, or undefined after a message. */
export function readEnd(end: Endpoint, scope: Scope): End | undefined {
  const { host: word } = end
  const port =
    end.port === null || isOpen(end.port) ? undefined : numberIn(end.port, ranges.port, scope.report)
  if (end.port !== null && port === undefined && !isOpen(end.port)) return undefined
  return readHostWord(word, port, scope)
}

/** A name or an address, with a port that was read already. */
export function readHostWord(word: Word, port: number | undefined, scope: Scope): End | undefined {
  const address = looksLikeAddress(word.text) ? parseIp(word.text) : undefined
  if (address !== undefined) {
    return { addresses: [address], host: ownerOf(address, scope.entities), port, word }
  }
  if (looksLikeAddress(word.text)) {
    scope.report(mistakeIn('S104', word, `\`${word.text}\` is not an address`))
    return undefined
  }
  const addresses = addressesNamed(word, word.text, scope)
  if (addresses === undefined) return undefined
  return { addresses, host: scope.entities.hosts.get(word.text.split('/')[0] ?? ''), port, word }
}

/**
 * The addresses of both ends in one family: IPv4 where both have it. Reports ends that have no family in common; answers
 * undefined without a message where an end has no address at all yet (a pod or a service to come), or a wrong one.
 */
export function pairOf(
  from: End,
  to: End,
  wanted: 4 | 6 | undefined,
  scope: Scope,
): { readonly source: IpAddress; readonly destination: IpAddress } | undefined {
  for (const family of wanted === undefined ? ([4, 6] as const) : [wanted]) {
    const source = from.addresses.find((each) => isIpv4(each) === (family === 4))
    const destination = to.addresses.find((each) => isIpv4(each) === (family === 4))
    if (source !== undefined && destination !== undefined) return { source, destination }
  }
  for (const end of [from, to]) {
    if (end.addresses.length > 0) continue
    const pending = end.host?.kind === 'pod' || end.word.text.startsWith('svc/') || end.host === undefined
    const misread = [...(end.host?.devices.values() ?? [])].some(({ isMisread }) => isMisread)
    if (!pending && !misread) {
      const hint = 'give one of its devices an address, or write the address here'
      scope.report(mistakeIn('S143', end.word, `\`${end.word.text}\` has no address`, { hint }))
    }
    return undefined
  }
  const family = wanted === undefined ? 'of one family' : `of IPv${wanted}`
  scope.report(
    mistakeIn('S143', to.word, `\`${from.word.text}\` and \`${to.word.text}\` have no addresses ${family}`, {
      hint: 'both ends must be IPv4 or both IPv6',
    }),
  )
  return undefined
}

/** The device of a host that shares a wire with `device`: on the same net, or its veth peer; else the host's first. */
export function deviceTowards(host: HostDraft, device: DeviceDraft | undefined): DeviceDraft | undefined {
  const all = [...host.devices.values()].filter((each) => each.kind !== 'lo')
  const shared = all.find((each) => each.net !== undefined && each.net === device?.net)
  const peer = all.find((each) => each.name === device?.peer?.device && host.name === device.peer.host)
  return shared ?? peer ?? all[0]
}

/** The MAC address that frames of an end carry when they arrive at `device`. An address of nobody gets one of its own. */
export function sourceMacOf(end: End, address: IpAddress | undefined, device: DeviceDraft | undefined): Mac {
  const own = end.host && deviceTowards(end.host, device)
  return own?.mac ?? deriveMac(address === undefined ? end.word.text : String(address), new Set())
}

/** Where a frame to an address goes: to everybody, to a group, or to the device that it is given to. */
export function destinationMacOf(address: IpAddress | undefined, device: DeviceDraft | undefined): Mac {
  if (address === broadcastIpv4) return broadcastMac
  if (address !== undefined && isMulticast(address)) {
    return isIpv4(address) ? multicastMacOf4(address as Ipv4) : multicastMacOf6(address)
  }
  return device?.mac ?? broadcastMac
}
