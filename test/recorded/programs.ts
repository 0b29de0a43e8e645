// The programs of a recorded case as functions on the same contract as any other program.
import type { Program, RunContext, SkbView, XdpBuff } from '../../src/bpf/contract.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { tcAct } from '../../src/kernel/tc/hook.ts'
import { xdpAct } from '../../src/kernel/xdp.ts'
import { formatIpv4, parseIpv4, readIpv4, writeIpv4 } from '../../src/net/address.ts'
import { readU16, writeU16 } from '../../src/net/bytes.ts'
import { checksumOf, writeSegmentChecksum } from '../../src/net/checksum.ts'
import { macFrom, parseMac, readMac, writeMac } from '../../src/net/mac.ts'
import { ipProtocol } from '../../src/net/protocol.ts'
import type { RecordedProgram, RecordedVerdict } from './case.ts'

/** A view that skb and xdp_buff share: bytes and the offset of the Ethernet header. */
interface View {
  readonly bytes: Uint8Array
  readonly at: number
  readonly end: number
  readonly skb: SkbView | undefined
}

function viewOf(context: RunContext): View {
  const { skb, xdp } = context as { skb?: SkbView; xdp?: XdpBuff }
  if (skb !== undefined) return { bytes: skb.bytes, at: skb.start, end: skb.end, skb }
  if (xdp === undefined) throw new Error('a program runs on a packet')
  return { bytes: xdp.bytes, at: xdp.data, end: xdp.dataEnd, skb: undefined }
}

const numbers: Readonly<Record<string, number>> = { udp: ipProtocol.udp, tcp: ipProtocol.tcp, icmp: 1 }

function matches(program: RecordedProgram, view: View): boolean {
  const { bytes, at } = view
  const l3 = at + 14
  const ip = readU16(bytes, at + 12) === 0x0800
  const l4 = l3 + ((bytes[l3] ?? 0) & 15) * 4
  return Object.entries(program.match).every(([key, value]) => {
    switch (key) {
      case 'mark':
        return view.skb?.mark === value
      case 'meta':
        return view.skb?.metaBytes === 4
      case 'l3':
        return value === 'ip' && ip
      case 'l4':
        return ip && bytes[l3 + 9] === numbers[String(value)]
      case 'src':
        return ip && formatIpv4(readIpv4(bytes, l3 + 12)) === value
      case 'dst':
        return ip && formatIpv4(readIpv4(bytes, l3 + 16)) === value
      case 'sport':
        return ip && readU16(bytes, l4) === value
      case 'dport':
        return ip && readU16(bytes, l4 + 2) === value
      default:
        throw new Error(`unknown match ${key}`)
    }
  })
}

function setAddress(bytes: Uint8Array, offset: number, value: string | number): void {
  const address = parseIpv4(String(value))
  if (address !== undefined) writeIpv4(bytes, offset, address)
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
      setAddress(bytes, at + 26, value)
      return
    case 'set_daddr':
      setAddress(bytes, at + 30, value)
      return
    case 'set_sport':
      writeU16(bytes, at + 34, Number(value))
      return
    case 'set_dport':
      writeU16(bytes, at + 36, Number(value))
      return
    case 'swap':
      swap(view, String(value))
      return
    default:
      throw new Error(`unknown action ${key}`)
  }
}

function rewrite(program: RecordedProgram, view: View): void {
  const actions = Object.entries(program.actions)
  if (actions.length === 0) return
  for (const [key, value] of actions) act(view, key, value)
  const { bytes, at } = view
  if (readU16(bytes, at + 12) !== 0x0800) return
  const l3 = at + 14
  writeU16(bytes, l3 + 10, 0)
  writeU16(bytes, l3 + 10, checksumOf(bytes, l3, l3 + 20))
  const protocol = bytes[l3 + 9] ?? 0
  writeSegmentChecksum(bytes, { l3, l4: l3 + 20, end: l3 + readU16(bytes, l3 + 2), protocol })
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
      context.redirect = { kind: 'neigh', ifindex }
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
      rewrite(program, view)
      seen(context, true)
      const { verdict } = program
      return typeof verdict === 'object'
        ? callHelper(program, verdict, context, ns)
        : codeOf(program, verdict)
    },
  }
}
