// Entries that an agent writes into its maps, as lines of a trace: `map cilium_lxc[web] add endpoint 312 identity web`. Only the
// bytes are read, so that what a real agent wrote would give the same.
import { readLe16, readLe32 } from '../../bpf/context/byte-order.ts'
import { readU16 } from '../../net/bytes.ts'
import type { AgentAct } from '../../trace/event.ts'
import type { Names } from '../../trace/names.ts'
import { ipcachePrefixOf, remoteEndpointOf } from '../datapath/ipcache.ts'
import { addressText } from '../maps/address-text.ts'
import { readLe64 } from '../maps/ct-entry.ts'
import { identityName } from './identity-name.ts'
import { conntrackText, natText } from './state.ts'

type MapFact = Extract<AgentAct, { readonly kind: 'map' }>

/** How the entries of a map read. `value` is undefined where the key says everything. */
interface Reader {
  readonly key: (key: Uint8Array, names: Names) => string
  readonly value: (value: Uint8Array, names: Names) => string
}

const familyIpv4 = 1
const hostFlag = 1

function address(bytes: Uint8Array, names: Names): string {
  return names.rename(addressText(bytes))
}

const endpoints: Reader = {
  key: (key, names) => address(key.subarray(0, key[16] === familyIpv4 ? 4 : 16), names),
  value: (value, names) =>
    (readLe32(value, 8) & hostFlag) !== 0
      ? 'host'
      : `endpoint ${readLe16(value, 6)} identity ${identityName(readLe32(value, 32), names)}`,
}

function prefixText(bytes: Uint8Array, length: number, names: Names): string {
  return length === bytes.length * 8 ? address(bytes, names) : `${addressText(bytes)}/${length}`
}

const ipcache: Reader = {
  key: (key, names) => {
    const prefix = ipcachePrefixOf(key)
    return prefixText(prefix.address, prefix.length, names)
  },
  value: (value, names) => {
    const remote = remoteEndpointOf(value)
    const tunnel = remote.tunnelEndpoint.subarray(0, remote.ipv6TunnelEndpoint ? 16 : 4)
    const words = [`identity ${identityName(remote.secIdentity, names)}`]
    if (remote.hasTunnelEndpoint) words.push(`tunnel ${address(tunnel, names)}`)
    if (remote.key !== 0) words.push(`key ${remote.key}`)
    if (remote.skipTunnel) words.push('skip-tunnel')
    return words.join(' ')
  },
}

const protocols: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
}

function portText(key: Uint8Array): string {
  const length = readLe32(key, 0) - policyStaticBits
  const protocol = protocols[key[9] as number] ?? String(key[9])
  const port = readU16(key, 10)
  if (length === 0) return ''
  if (length <= 8) return ` ${protocol}`
  return length === 24 ? ` ${protocol}/${port}` : ` ${protocol}/${port}-${port + (0xffff >> (length - 8))}`
}

const policyStaticBits = 40
const deniedPrecedence = 0xffff_ffff
const allowedPrecedence = 0xffff_ff01
const redirectedPrecedence = 0xffff_ff02

const policy: Reader = {
  key: (key, names) => {
    const identity = readLe32(key, 4)
    const peer = identity === 0 ? 'any' : identityName(identity, names)
    return `${key[8] === 0 ? 'ingress' : 'egress'} ${peer}${portText(key)}`
  },
  value: (value) => {
    const port = readU16(value, 0)
    const denies = ((value[2] as number) & 1) !== 0
    const auth = (value[3] as number) & 0x7f
    const precedence = readLe32(value, 4)
    const usual = denies ? deniedPrecedence : port === 0 ? allowedPrecedence : redirectedPrecedence
    const words = [denies ? 'deny' : port === 0 ? 'allow' : `redirect ${port}`]
    if (auth !== 0) words.push(`auth ${auth}`)
    if (precedence !== usual && precedence !== 0) words.push(`precedence 0x${precedence.toString(16)}`)
    return words.join(' ')
  },
}

/** Of 1.10: exact ports, no precedence; counters say nothing about what an agent wrote. */
const legacyPolicy: Reader = {
  key: (key, names) => {
    const identity = readLe32(key, 0)
    const peer = identity === 0 ? 'any' : identityName(identity, names)
    const port = readU16(key, 4)
    const protocol = protocols[key[6] as number] ?? String(key[6])
    const at = key[6] === 0 ? '' : port === 0 ? ` ${protocol}` : ` ${protocol}/${port}`
    return `${key[7] === 0 ? 'ingress' : 'egress'} ${peer}${at}`
  },
  value: (value) => {
    if (value[2] !== 0) return 'deny'
    const port = readU16(value, 0)
    return port === 0 ? 'allow' : `redirect ${port}`
  },
}

const legacyIpcache: Reader = {
  key: ipcache.key,
  value: (value, names) => {
    const words = [`identity ${identityName(readLe32(value, 0), names)}`]
    const tunnel = value.subarray(4, 8)
    if (tunnel.some((byte) => byte !== 0)) words.push(`tunnel ${address(tunnel, names)}`)
    if (value[8] !== 0) words.push(`key ${value[8]}`)
    return words.join(' ')
  },
}

const gateways: Reader = {
  key: (key, names) => {
    const size = (key.length - 4) / 2
    const length = readLe32(key, 0) - size * 8
    return `${address(key.subarray(4, 4 + size), names)} ${addressText(key.subarray(4 + size))}/${length}`
  },
  value: (value, names) => {
    const size = value.length === 8 ? 4 : 16
    const gateway = addressText(value.subarray(size, size + 4))
    const by = gateway === '0.0.0.0' ? 'nobody' : gateway === '0.0.0.1' ? 'excluded' : names.rename(gateway)
    return `${address(value.subarray(0, size), names)} by ${by}`
  },
}

const throttle: Reader = {
  key: (key) => `${readLe32(key, 0)} ${key[4] === 0 ? 'egress' : 'ingress'}`,
  value: (value) => `${readLe64(value, 0)} bytes a second`,
}

const nodes: Reader = {
  key: (key, names) => address(key.subarray(4, key[3] === familyIpv4 ? 8 : 20), names),
  value: (value) => `node ${readLe16(value, 0)} key ${value[2]}`,
}

const encryption: Reader = { key: () => '0', value: (value) => `key ${value[0]}` }

const readers: Readonly<Record<string, Reader>> = {
  cilium_lxc: endpoints,
  cilium_ipcache_v2: ipcache,
  cilium_ipcache: legacyIpcache,
  cilium_egress_gw_policy_v4: gateways,
  cilium_egress_gw_policy_v6: gateways,
  cilium_throttle: throttle,
  cilium_node_map_v2: nodes,
  cilium_encrypt_state: encryption,
}

const ctMap = /^cilium_ct_?(any)?[46]_global$/
const natMap = /^cilium_snat_v[46]_external$/

function readerOf(map: string): Reader | undefined {
  if (map.startsWith('cilium_policy_v2_')) return policy
  return map.startsWith('cilium_policy_') ? legacyPolicy : readers[map]
}

/** The line of an entry; undefined for a map that nobody here knows. */
export function writtenText(fact: MapFact, names: Names): string | undefined {
  const { map, key, before, after } = fact
  const old = before ?? after
  if (old !== undefined && (ctMap.test(map) || natMap.test(map))) {
    const text = ctMap.test(map) ? conntrackText(key, old) : natText(key, old)
    return `map ${map}[${names.rename(text)}] ${after === undefined ? 'delete' : 'add'}`
  }
  const reader = readerOf(map)
  if (reader === undefined) return undefined
  const from = before === undefined ? undefined : reader.value(before, names)
  const to = after === undefined ? undefined : reader.value(after, names)
  const change = from === undefined ? `add ${to}` : to === undefined ? `delete ${from}` : `${from} -> ${to}`
  return `map ${map}[${reader.key(key, names)}] ${change}`
}
