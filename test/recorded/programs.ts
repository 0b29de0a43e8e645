// The programs of a recorded case as functions on the same contract as any other program.
import { readLe32, writeLe32 } from '../../src/bpf/context/byte-order.ts'
import type { Program, RunContext, SkbView, XdpBuff } from '../../src/bpf/contract.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { tcAct } from '../../src/kernel/tc/hook.ts'
import { xdpAct } from '../../src/kernel/xdp.ts'
import {
  formatIpv4,
  formatIpv6,
  isIpv4,
  parseIpv4,
  readIpv4,
  readIpv6,
  writeIpv4,
} from '../../src/net/address.ts'
import { readU16, writeU16 } from '../../src/net/bytes.ts'
import { checksumOffset, replaceU32, updateChecksum16, updateChecksum32 } from '../../src/net/checksum.ts'
import { macFrom, parseMac, readMac, writeMac } from '../../src/net/mac.ts'
import { etherType, ipProtocol } from '../../src/net/protocol.ts'
import type { RecordedProgram, RecordedVerdict } from './case.ts'
import { address } from './words.ts'

/** A view that skb and xdp_buff share: bytes and the offset of the Ethernet header. */
interface View {
  readonly bytes: Uint8Array
  readonly at: number
  readonly end: number
  readonly skb: SkbView | undefined
  readonly xdp: XdpBuff | undefined
}

function viewOf(context: RunContext): View {
  const { skb, xdp } = context as { skb?: SkbView; xdp?: XdpBuff }
  if (skb !== undefined) return { bytes: skb.bytes, at: skb.start, end: skb.end, skb, xdp }
  if (xdp === undefined) throw new Error('a program runs on a packet')
  return { bytes: xdp.bytes, at: xdp.data, end: xdp.dataEnd, skb, xdp }
}

const numbers: Readonly<Record<string, number>> = { ...ipProtocol, icmpv6: ipProtocol.icmp6 }
/** Bytes of data_meta that a program leaves for tc. */
const metaBytes = 4

/** Where the headers of a frame are; `protocol` is that behind the IP header. */
interface Headers {
  readonly l3: number
  readonly version: 4 | 6 | undefined
  readonly protocol: number
  readonly l4: number
}

function headersOf({ bytes, at }: View): Headers {
  const l3 = at + 14
  const type = readU16(bytes, at + 12)
  if (type === etherType.ipv4) {
    return { l3, version: 4, protocol: bytes[l3 + 9] ?? 0, l4: l3 + ((bytes[l3] ?? 0) & 15) * 4 }
  }
  if (type === etherType.ipv6) return { l3, version: 6, protocol: bytes[l3 + 6] ?? 0, l4: l3 + 40 }
  return { l3, version: undefined, protocol: -1, l4: l3 }
}

/** The source or destination address as text. */
function addressAt({ bytes }: View, { l3, version }: Headers, which: 'src' | 'dst'): string | undefined {
  const second = which === 'dst'
  if (version === 4) return formatIpv4(readIpv4(bytes, l3 + (second ? 16 : 12)))
  return version === 6 ? formatIpv6(readIpv6(bytes, l3 + (second ? 24 : 8))) : undefined
}

const etherTypes: Readonly<Record<string, number>> = {
  ip: etherType.ipv4,
  ip6: etherType.ipv6,
  ipv6: etherType.ipv6,
  arp: etherType.arp,
}

function matches(program: RecordedProgram, view: View): boolean {
  const { bytes, at, skb } = view
  const headers = headersOf(view)
  return Object.entries(program.match).every(([key, value]) => {
    switch (key) {
      case 'mark':
        return skb?.mark === value
      case 'meta':
        return skb?.metaBytes === metaBytes && readLe32(bytes, at - metaBytes) === Number(value)
      case 'l3':
        return readU16(bytes, at + 12) === numberFor(etherTypes, value)
      case 'l4':
        return headers.protocol === numberFor(numbers, value)
      case 'src':
      case 'dst':
        return addressAt(view, headers, key) === value
      case 'sport':
        return headers.version !== undefined && readU16(bytes, headers.l4) === value
      case 'dport':
        return headers.version !== undefined && readU16(bytes, headers.l4 + 2) === value
      default:
        throw new Error(`unknown match ${key}`)
    }
  })
}

function numberFor(names: Readonly<Record<string, number>>, word: string | number): number {
  const found = typeof word === 'number' ? word : names[word]
  if (found === undefined) throw new Error(`unknown protocol ${word}`)
  return found
}

/** The checksum of TCP or UDP follows a changed word, as bpf_l4_csum_replace() lets it; a UDP checksum of 0 means none. */
function repair(view: View, update: (sum: number) => number): void {
  const { l4, protocol } = headersOf(view)
  if (protocol !== ipProtocol.tcp && protocol !== ipProtocol.udp) return
  const at = l4 + checksumOffset(protocol)
  const sum = at + 2 > view.end ? 0 : readU16(view.bytes, at)
  if (sum === 0 && protocol === ipProtocol.udp) return
  const updated = update(sum)
  writeU16(view.bytes, at, updated === 0 && protocol === ipProtocol.udp ? 0xffff : updated)
}

function setAddress(view: View, offset: number, value: string | number): void {
  const parsed = parseIpv4(String(value))
  if (parsed === undefined) throw new Error(`no IPv4 address: ${value}`)
  const { bytes, at } = view
  const before = readIpv4(bytes, at + offset)
  repair(view, (sum) => updateChecksum32(sum, before, parsed))
  replaceU32(bytes, at + offset, parsed, at + 24)
}

function setPort(view: View, offset: number, value: number): void {
  const at = headersOf(view).l4 + offset
  const before = readU16(view.bytes, at)
  repair(view, (sum) => updateChecksum16(sum, before, value))
  writeU16(view.bytes, at, value)
}

function setMac(bytes: Uint8Array, offset: number, value: string | number): void {
  writeMac(bytes, offset, parseMac(String(value)) ?? macFrom(0))
}

function swap(view: View, what: string): void {
  const { bytes, at } = view
  const source = readMac(bytes, at + 6)
  writeMac(bytes, at + 6, readMac(bytes, at))
  writeMac(bytes, at, source)
  if (what === 'mac') return
  const from = readIpv4(bytes, at + 26)
  writeIpv4(bytes, at + 26, readIpv4(bytes, at + 30))
  writeIpv4(bytes, at + 30, from)
  const port = readU16(bytes, at + 34)
  writeU16(bytes, at + 34, readU16(bytes, at + 36))
  writeU16(bytes, at + 36, port)
}

/** bpf_xdp_adjust_meta() and the word that follows. */
function setMeta({ bytes, at, xdp }: View, value: number): void {
  if (xdp === undefined) throw new Error('only XDP sets data_meta')
  xdp.meta = at - metaBytes
  writeLe32(bytes, xdp.meta, value)
}

function act(view: View, key: string, value: string | number): void {
  const { bytes, at, skb } = view
  switch (key) {
    case 'set_mark':
      if (skb !== undefined) skb.mark = Number(value)
      return
    case 'set_pkt_type':
      if (skb !== undefined) skb.pktType = Number(value)
      return
    case 'set_dmac':
      setMac(bytes, at, value)
      return
    case 'set_smac':
      setMac(bytes, at + 6, value)
      return
    case 'set_saddr':
      setAddress(view, 26, value)
      return
    case 'set_daddr':
      setAddress(view, 30, value)
      return
    case 'set_sport':
      setPort(view, 0, Number(value))
      return
    case 'set_dport':
      setPort(view, 2, Number(value))
      return
    case 'swap':
      swap(view, String(value))
      return
    case 'set_meta':
      setMeta(view, Number(value))
      return
    default:
      throw new Error(`unknown action ${key}`)
  }
}

function codeOf(program: RecordedProgram, code: string | number): number {
  if (typeof code === 'number') return code
  const codes: Readonly<Record<string, number>> = program.hook.startsWith('xdp') ? xdpAct : tcAct
  const found = codes[code.toLowerCase()]
  if (found === undefined) throw new Error(`unknown code ${code}`)
  return found
}

function ifindexOf(ns: Namespace, dev: string | number | undefined): number {
  if (typeof dev === 'number') return dev
  return ns.devicesByName.get(dev ?? '')?.ifindex ?? 0
}

/** The next hop that redirect_neigh was given. */
function nextHopOf(text: string | undefined) {
  if (text === undefined) return {}
  const next = address(text)
  return isIpv4(next)
    ? { nextHop: { family: 4 as const, address: [next] } }
    : { nextHop: { family: 6 as const, address: next } }
}

function callHelper(
  program: RecordedProgram,
  verdict: RecordedVerdict,
  context: RunContext,
  ns: Namespace,
): number {
  const ifindex = ifindexOf(ns, verdict.dev)
  const flags = verdict.flags ?? 0
  const redirected = program.hook.startsWith('xdp') ? xdpAct.redirect : tcAct.redirect
  switch (verdict.helper) {
    case 'redirect':
      context.redirect = { kind: 'device', ifindex, ingress: (flags & 1) !== 0 }
      return redirected
    case 'redirect_neigh':
      context.redirect = { kind: 'neigh', ifindex, ...nextHopOf(verdict.nh) }
      return redirected
    case 'redirect_peer':
      context.redirect = { kind: 'peer', ifindex }
      return redirected
    case 'clone_redirect':
      context.kernel.cloneRedirect(ifindex, flags)
      return codeOf(program, verdict.then ?? 'OK')
    case 'redirect_map':
      if (verdict.dev === undefined) return flags & 3
      context.redirect = { kind: 'map', ifindex }
      return redirected
  }
}

/** A recorded program; `seen` is told of each packet, after the actions where it matched. */
export function convertProgram(
  program: RecordedProgram,
  ns: Namespace,
  seen: (context: RunContext, matched: boolean) => void,
): Program {
  return {
    name: program.id,
    type: program.hook.startsWith('xdp') ? 'xdp' : 'sched_cls',
    run: (context) => {
      const view = viewOf(context)
      if (!matches(program, view)) {
        seen(context, false)
        return codeOf(program, program.nomatch)
      }
      for (const [key, value] of Object.entries(program.actions)) act(view, key, value)
      seen(context, true)
      const { verdict } = program
      return typeof verdict === 'object'
        ? callHelper(program, verdict, context, ns)
        : codeOf(program, verdict)
    },
  }
}
