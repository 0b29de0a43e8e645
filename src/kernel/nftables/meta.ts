// What nft can ask of a packet beside its headers: meta, ct and fib keys (nft_meta.c, nft_ct.c, nft_fib_ipv4.c,
// nft_fib_ipv6.c).
import {
  type IpAddress,
  isIpv4,
  isMulticast,
  isUnspecified,
  readIpv4,
  readIpv6,
  sameIp,
} from '../../net/address.ts'
import { ipv4At } from '../../net/ipv4.ts'
import { ipv6At } from '../../net/ipv6.ts'
import { type Connection, connInfo, directionOf, tupleOf } from '../conntrack/connection.ts'
import type { NetDevice } from '../device/device.ts'
import { addressesOf, addressType, isOwnAddress } from '../ip/source.ts'
import type { ChainPacket } from '../netfilter/extension.ts'
import type { Loader } from './ruleset.ts'
import { type DataType, dataTypes } from './types.ts'

/** One key: its type and how it is loaded. */
export interface Key {
  readonly type: DataType
  readonly load: Loader
}

function one(type: DataType, value: (packet: ChainPacket) => number | undefined): Key {
  const load: Loader = (packet, registers, at) => {
    const found = value(packet)
    if (found === undefined) return false
    registers[at] = found
    return true
  }
  return { type, load }
}

/** No device has the name ''. */
function storeName(registers: Uint32Array, at: number, device: NetDevice | undefined): boolean {
  const name = device?.name ?? ''
  for (let word = 0; word < 4; word += 1) {
    let value = 0
    for (let index = word * 4; index < word * 4 + 4; index += 1)
      value = (value << 8) | (index < name.length ? name.charCodeAt(index) : 0)
    registers[at + word] = value
  }
  return true
}

function device(type: DataType, side: 'in' | 'out'): Key {
  return { type, load: (packet, registers, at) => storeName(registers, at, packet[side]) }
}

/** Every socket of a scenario belongs to root. */
const owner = ({ skb }: ChainPacket): number | undefined => (skb.sk === undefined ? undefined : 0)

/** Keys behind `meta`, by name. */
export const metaKeys: ReadonlyMap<string, Key> = new Map([
  ['mark', one(dataTypes.mark, ({ skb }) => skb.mark)],
  ['l4proto', one(dataTypes.inet_proto, ({ protocol }) => (protocol < 0 ? undefined : protocol))],
  ['nfproto', one(dataTypes.nf_proto, ({ family }) => (family === 4 ? 2 : 10))],
  ['protocol', one(dataTypes.ether_type, ({ family }) => (family === 4 ? 0x800 : 0x86dd))],
  ['length', one(dataTypes.integer, ({ skb, l3 }) => skb.tail - l3)],
  ['pkttype', one(dataTypes.pkt_type, ({ skb }) => skb.pktType)],
  ['skuid', one(dataTypes.integer, owner)],
  ['skgid', one(dataTypes.integer, owner)],
  ['iifname', device(dataTypes.ifname, 'in')],
  ['oifname', device(dataTypes.ifname, 'out')],
  ['iif', device(dataTypes.iface_index, 'in')],
  ['oif', device(dataTypes.iface_index, 'out')],
])

/** Meta keys that nft prints without `meta`. */
export const bareMeta: ReadonlySet<string> = new Set(['iifname', 'oifname', 'iif', 'oif'])

/** nft_ct_get_eval(): one bit. */
function stateBit({ skb }: ChainPacket): number {
  if (skb.nfct === undefined) return skb.nfctInfo === connInfo.untracked ? 64 : 1
  switch (skb.nfctInfo) {
    case connInfo.new:
      return 8
    case connInfo.related:
    case connInfo.relatedReply:
      return 4
    default:
      return 2
  }
}

function flow(type: DataType, value: (connection: Connection, packet: ChainPacket) => number): Key {
  return one(type, (packet) => {
    const { nfct } = packet.skb
    return nfct === undefined || nfct.template ? undefined : value(nfct, packet)
  })
}

/** Keys behind `ct`. */
export const ctKeys: ReadonlyMap<string, Key> = new Map([
  ['state', one(dataTypes.ct_state, stateBit)],
  ['mark', flow(dataTypes.mark, ({ mark }) => mark)],
  ['status', flow(dataTypes.ct_status, ({ status }) => status)],
  ['direction', flow(dataTypes.ct_dir, (_connection, { skb }) => directionOf(skb.nfctInfo))],
  ['protocol', flow(dataTypes.inet_proto, ({ original }) => original.protocol)],
  ['l3proto', flow(dataTypes.nf_proto, ({ original }) => (original.family === 4 ? 2 : 10))],
])

function tupleAddress(direction: 0 | 1, side: 'source' | 'destination', family: 4 | 6): Key {
  const load: Loader = ({ skb }, registers, at) => {
    if (skb.nfct === undefined || skb.nfct.template) return false
    const address = tupleOf(skb.nfct, direction)[side]
    if (isIpv4(address) !== (family === 4)) return false
    if (isIpv4(address)) registers[at] = address
    else for (let word = 0; word < 4; word += 1) registers[at + word] = address[word as 0 | 1 | 2 | 3]
    return true
  }
  return { type: family === 4 ? dataTypes.ipv4_addr : dataTypes.ipv6_addr, load }
}

/** Keys behind `ct original` and `ct reply`. */
export function tupleKeys(direction: 0 | 1): ReadonlyMap<string, Key> {
  return new Map([
    ['ip saddr', tupleAddress(direction, 'source', 4)],
    ['ip daddr', tupleAddress(direction, 'destination', 4)],
    ['ip6 saddr', tupleAddress(direction, 'source', 6)],
    ['ip6 daddr', tupleAddress(direction, 'destination', 6)],
    ['proto-src', flow(dataTypes.inet_service, (connection) => tupleOf(connection, direction).sport)],
    ['proto-dst', flow(dataTypes.inet_service, (connection) => tupleOf(connection, direction).dport)],
    ['protocol', flow(dataTypes.inet_proto, (connection) => tupleOf(connection, direction).protocol)],
    ['l3proto', flow(dataTypes.nf_proto, ({ original }) => (original.family === 4 ? 2 : 10))],
  ])
}

function addressAt({ skb, l3, family }: ChainPacket, side: 'source' | 'destination'): IpAddress {
  if (family === 4) return readIpv4(skb.bytes, l3 + ipv4At[side])
  return readIpv6(skb.bytes, l3 + ipv6At[side])
}

const routeTypes = dataTypes.fib_addrtype.symbols

/** inet_dev_addr_type(), ipv6_chk_addr(): with a device only what that device has is local. */
function routeType({ ns }: ChainPacket, address: IpAddress, dev: NetDevice | undefined): number | undefined {
  if (isIpv4(address)) {
    const type = addressType(ns, address)
    const elsewhere = type === 'local' && dev !== undefined && !has(dev, address)
    return routeTypes?.get(elsewhere ? 'unicast' : type)
  }
  if (isUnspecified(address)) return routeTypes?.get('unspec')
  if (isMulticast(address)) return routeTypes?.get('multicast')
  const own = dev === undefined ? isOwnAddress(ns, address) : has(dev, address)
  return routeTypes?.get(own ? 'local' : 'unicast')
}

function has(dev: NetDevice, address: IpAddress): boolean {
  return addressesOf(dev, isIpv4(address) ? 4 : 6).some((own) => sameIp(own.address, address))
}

/** `fib saddr|daddr [. iif|oif] type`. */
export function fibType(side: 'source' | 'destination', limit: 'in' | 'out' | undefined): Key {
  return one(dataTypes.fib_addrtype, (packet) =>
    routeType(packet, addressAt(packet, side), limit === undefined ? undefined : packet[limit]),
  )
}
