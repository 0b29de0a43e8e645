// Bridges and VXLAN devices between the steps of a recorded case: `bridge fdb`, `bridge link`, `ip link set DEV type KIND ...`.
import { setPortFlags } from '../../src/kernel/device/bridge.ts'
import { fdbAddLocal } from '../../src/kernel/device/bridge-fdb.ts'
import { bridgeState } from '../../src/kernel/device/bridge-state.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import {
  addVxlanRemote,
  sameRemote,
  type VxlanEntry,
  type VxlanRemote,
} from '../../src/kernel/device/vxlan-fdb.ts'
import { vxlanState } from '../../src/kernel/device/vxlan-state.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { isMulticastMac, macFrom } from '../../src/net/mac.ts'
import { deviceOf } from './named.ts'
import { address, hopOrTos, macOf, must, readWords, switched, type Words } from './words.ts'

/** `hairpin on isolated off ...` of a port. */
function setPort(dev: NetDevice, words: readonly string[]): void {
  const { given } = readWords(words, ['hairpin', 'isolated', 'learning', 'flood'], [])
  setPortFlags(dev, Object.fromEntries([...given].map(([name, text]) => [name, switched(text)])))
}

/** br_changelink(): the ageing time, in hundredths of a second. What the model has not may only be said to be off. */
function setBridge(dev: NetDevice, words: readonly string[]): void {
  must(dev.kind === 'bridge' ? dev : undefined, `bridge ${dev.name}`)
  // without STP a port forwards at once
  const off = ['stp_state', 'vlan_filtering', 'forward_delay']
  const { given } = readWords(words, ['ageing_time', ...off], [])
  for (const word of ['stp_state', 'vlan_filtering'])
    must((given.get(word) ?? '0') === '0' ? word : undefined, `${word} ${given.get(word)}`)
  const ageing = given.get('ageing_time')
  if (ageing !== undefined)
    Object.assign(bridgeState(dev), { ageingNanoseconds: Number(ageing) * 10_000_000 })
}

/** vxlan_changelink(): what of a device may change. Whether the TTL is inherited may not (EOPNOTSUPP, and nothing changes). */
function setVxlan(dev: NetDevice, words: readonly string[]): void {
  must(dev.kind === 'vxlan' ? dev : undefined, `vxlan ${dev.name}`)
  const { given, flags } = readWords(words, ['ttl', 'tos', 'df'], ['learning', 'nolearning'])
  const [ttl, tos, df] = [hopOrTos(given.get('ttl')), hopOrTos(given.get('tos')), given.get('df')]
  const state = vxlanState(dev)
  const inherits = state.ttl === 'inherit'
  if (ttl === 'inherit' && !inherits) return
  Object.assign(state, {
    ...(ttl === undefined || inherits ? {} : { ttl }),
    ...(tos === undefined ? {} : { tos }),
    ...(df === undefined ? {} : { df }),
    ...(flags.size === 0 ? {} : { learning: flags.has('learning') }),
  })
}

const kinds: Readonly<Record<string, (dev: NetDevice, words: readonly string[]) => void>> = {
  bridge_slave: setPort,
  bridge: setBridge,
  vxlan: setVxlan,
}

/** `ip link set DEV type KIND ...` */
export function setKind(dev: NetDevice, [kind = '', ...words]: readonly string[]): void {
  must(kinds[kind], `type ${kind}`)(dev, words)
}

/** How long an entry lives: `permanent` and `local` are this host's, `static` stays, `dynamic` ages. */
function lifetime({ flags }: Words): 'permanent' | 'static' | 'dynamic' {
  return flags.has('static') || flags.has('temp') ? 'static' : flags.has('dynamic') ? 'dynamic' : 'permanent'
}

/** br_fdb_add(), br_fdb_delete(): the entry of a port (`master`), or of the bridge itself. */
function setBridgeEntry(port: NetDevice, verb: string, mac: number, words: Words): void {
  const toBridge = port.kind === 'bridge' && !words.flags.has('master')
  const bridge = must(toBridge ? port : port.master, `bridge fdb ${verb} without master: ${port.name}`)
  must(toBridge || words.flags.has('master') ? true : undefined, `bridge fdb ${verb} without master`)
  const state = bridgeState(bridge)
  const known = state.fdb.get(mac)
  const at = toBridge ? undefined : must(state.byDevice.get(port), port.name)
  if (verb === 'del') {
    if (known !== undefined && known.port === at) state.fdb.delete(mac)
    return
  }
  if (known !== undefined && verb === 'add') return
  const life = lifetime(words)
  if (life === 'permanent') {
    state.fdb.delete(mac)
    fdbAddLocal(state, mac, at)
  } else if (at !== undefined) {
    const updated = life === 'static' ? Number.POSITIVE_INFINITY : port.ns.machine.clock.now
    state.fdb.set(mac, { port: at, local: false, updated })
  }
}

function remoteOf(ns: Namespace, { given }: Words): VxlanRemote {
  const [port, vni, via] = ['port', 'vni', 'via'].map((word) => given.get(word))
  return {
    address: address(given.get('dst') ?? ''),
    port: port === undefined ? undefined : Number(port),
    vni: vni === undefined ? undefined : Number(vni),
    via: via === undefined ? 0 : deviceOf(ns, via).ifindex,
  }
}

/** Entries of VXLAN devices that `bridge fdb` shows as `static`; the model knows only that they stay. */
export const staticEntries = new WeakSet<VxlanEntry>()

/** vxlan_fdb_add(), vxlan_fdb_delete(): `del` with a remote takes that one alone, `add` refuses what is known. */
function setVxlanEntry(dev: NetDevice, verb: string, mac: number, words: Words): void {
  const { fdb } = vxlanState(dev)
  const known = fdb.get(mac)
  if (verb === 'del') {
    const target = words.given.has('dst') ? remoteOf(dev.ns, words) : undefined
    const at = known?.remotes.findIndex((other) => target && sameRemote(other, target)) ?? -1
    if (known !== undefined && at >= 0 && known.remotes.length > 1) known.remotes.splice(at, 1)
    else if (target === undefined || at >= 0) fdb.delete(mac)
    return
  }
  if (known !== undefined && verb === 'add') return
  if (known !== undefined && verb === 'replace') {
    // of a group or the default entry EOPNOTSUPP: nobody knows which remote is meant
    if (mac === 0 || isMulticastMac(macFrom(mac))) return
    fdb.delete(mac)
  }
  const life = lifetime(words)
  const now = dev.ns.machine.clock.now
  addVxlanRemote(fdb, mac, remoteOf(dev.ns, words), { fixed: life !== 'dynamic', now })
  const made = fdb.get(mac)
  if (life === 'static' && made !== undefined) staticEntries.add(made)
}

/** `bridge fdb add|append|replace|del MAC dev DEV ...` of a VXLAN device or a bridge port, `bridge link set dev DEV ...`. */
export function bridge(ns: Namespace, [object, verb = '', ...words]: readonly string[]): void {
  if (object === 'link' && verb === 'set') {
    const at = words.indexOf('dev')
    setPort(deviceOf(ns, words[at + 1]), words.toSpliced(at, 2))
    return
  }
  const said = `bridge ${object} ${verb}`
  must(
    object === 'fdb' && ['add', 'append', 'replace', 'del', 'delete'].includes(verb) ? verb : undefined,
    said,
  )
  const [mac = '', ...rest] = words
  const lives = ['permanent', 'local', 'static', 'temp', 'dynamic']
  const read = readWords(rest, ['dev', 'dst', 'port', 'vni', 'via'], ['self', 'master', ...lives])
  const dev = deviceOf(ns, read.given.get('dev'))
  const onTunnel = dev.kind === 'vxlan' && !read.flags.has('master')
  const set = onTunnel ? setVxlanEntry : setBridgeEntry
  set(dev, verb === 'delete' ? 'del' : verb, macOf(mac), read)
}
