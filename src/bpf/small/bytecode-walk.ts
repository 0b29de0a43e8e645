// The header walk of headers.ts as a function of bytecode: r1 is the context, r2 the value that takes the offsets.
// Everything it finds must be the same as what the executor finds; test/bytecode.test.ts compares the two on packets.
import type { Label } from '../asm/assembler.ts'
import { skbAt } from '../context/skb-fields.ts'
import { address, context, type Emit, frame, leave, offsets } from './bytecode-frame.ts'
import { type LayerName, layers } from './fields.ts'

const buffer = -48
/** r8: position in the packet. r9: the ethertype or protocol to follow. */
const position = 8
const next = 9
const vlanTagsMax = 2
const extensionsMax = 8

/** Loads `bytes` at the position into the buffer of this function; leaves when they are not there. */
function look(emit: Emit, bytes: number, end: Label): void {
  const { asm } = emit
  asm.move(1, context)
  asm.move(2, position)
  address(emit, 3, buffer)
  asm.set(4, bytes)
  asm.call(emit.xdp ? 'xdp_load_bytes' : 'skb_load_bytes')
  asm.jumpIf('ne', 0, 0, end)
}

function found(emit: Emit, layer: LayerName): void {
  emit.asm.store(8, offsets, layers[layer] * 8, position)
}

/** `register = ` a 16-bit word of the buffer in host order. */
function word(emit: Emit, register: 1 | 9, offset: number): void {
  emit.asm.load(2, register, frame, buffer + offset)
  emit.asm.swap(register, 16)
}

const transports = [
  [6, 'tcp', 20],
  [17, 'udp', 8],
  [132, 'sctp', 12],
  [1, 'icmp', 8],
  [58, 'icmp6', 8],
] as const

/** Which transport header stands at the position; r9 is its protocol. */
function walkTransport(emit: Emit, end: Label): void {
  const { asm } = emit
  for (const [protocol, layer, bytes] of transports) {
    const other = asm.label()
    asm.jumpIf('ne', next, protocol, other)
    look(emit, bytes, end)
    found(emit, layer)
    if (layer === 'udp') walkTunnel(emit, end)
    asm.jump(end)
    asm.bind(other)
  }
}

/** Behind a UDP header there may be VXLAN or Geneve: eight more bytes, and a port that says so. */
function walkTunnel(emit: Emit, end: Label): void {
  const { asm } = emit
  look(emit, 16, end)
  word(emit, 1, 2)
  asm.alu('add', position, 8)
  const [geneve, vxlan] = [asm.label(), asm.label()]
  asm.jumpIf('eq', 1, 4789, vxlan)
  asm.jumpIf('ne', 1, 8472, geneve)
  asm.bind(vxlan)
  found(emit, 'vxlan')
  asm.bind(geneve)
  asm.jumpIf('ne', 1, 6081, end)
  found(emit, 'geneve')
}

/** Up to two tags in the packet; the position stands behind them, r9 is what follows. */
function walkTags(emit: Emit, end: Label): void {
  const { asm } = emit
  const done = asm.label()
  for (let tags = 0; tags < vlanTagsMax; tags += 1) {
    const tag = asm.label()
    asm.jumpIf('eq', next, 0x8100, tag)
    asm.jumpIf('ne', next, 0x88a8, done)
    asm.bind(tag)
    look(emit, 4, end)
    if (tags === 0) found(emit, 'vlan')
    word(emit, next, 2)
    asm.alu('add', position, 4)
  }
  asm.bind(done)
}

function walkIpv4(emit: Emit, transport: Label, end: Label): void {
  const { asm } = emit
  look(emit, 20, end)
  asm.load(1, 2, frame, buffer)
  asm.alu('and', 2, 15)
  asm.alu('lsh', 2, 2)
  asm.jumpIf('lt', 2, 20, end)
  found(emit, 'ip')
  asm.load(1, next, frame, buffer + 9)
  word(emit, 1, 6)
  asm.aluReg('add', position, 2)
  asm.alu('and', 1, 0x1fff)
  asm.jumpIf('ne', 1, 0, end) // a later fragment has no transport header
  asm.jump(transport)
}

const extensions = [0, 43, 44, 51, 60] as const

function walkIpv6(emit: Emit, transport: Label, end: Label): void {
  const { asm } = emit
  look(emit, 40, end)
  found(emit, 'ip6')
  asm.load(1, next, frame, buffer + 6)
  asm.alu('add', position, 40)
  for (let count = 0; count < extensionsMax; count += 1) {
    const known = asm.label()
    for (const each of extensions) asm.jumpIf('eq', next, each, known)
    asm.jump(transport)
    asm.bind(known)
    walkExtension(emit, end)
  }
  asm.jump(end)
}

/** One extension header: its length is in eights, an authentication header's in fours, a fragment header's fixed. */
function walkExtension(emit: Emit, end: Label): void {
  const { asm } = emit
  const [fragment, authentication, after] = [asm.label(), asm.label(), asm.label()]
  look(emit, 8, end)
  asm.load(1, 2, frame, buffer + 1)
  asm.jumpIf('eq', next, 44, fragment)
  asm.jumpIf('eq', next, 51, authentication)
  asm.alu('add', 2, 1)
  asm.alu('lsh', 2, 3)
  asm.jump(after)
  asm.bind(authentication)
  asm.alu('add', 2, 2)
  asm.alu('lsh', 2, 2)
  asm.jump(after)
  asm.bind(fragment)
  word(emit, 1, 2)
  asm.alu('and', 1, 0xfff8)
  asm.jumpIf('ne', 1, 0, end) // a later fragment has no transport header
  asm.set(2, 8)
  asm.bind(after)
  asm.load(1, next, frame, buffer)
  asm.aluReg('add', position, 2)
}

/** Generates the function. */
export function emitWalk(emit: Emit): void {
  const { asm } = emit
  const [end, ipv4, ipv6, transport] = [asm.label(), asm.label(), asm.label(), asm.label()]
  asm.bind(emit.walk)
  asm.move(context, 1)
  asm.move(offsets, 2)
  asm.set(1, -1)
  for (let layer = 0; layer < Object.keys(layers).length; layer += 1) asm.store(8, offsets, layer * 8, 1)
  asm.set(position, 0)
  if (emit.bare) {
    asm.load(4, next, context, skbAt.protocol)
    asm.swap(next, 16)
  } else {
    look(emit, 14, end)
    found(emit, 'eth')
    word(emit, next, 12)
    asm.set(position, 14)
    walkTags(emit, end)
  }
  asm.jumpIf('eq', next, 0x0800, ipv4)
  asm.jumpIf('eq', next, 0x86dd, ipv6)
  asm.jumpIf('ne', next, 0x0806, end)
  look(emit, 28, end)
  found(emit, 'arp')
  asm.jump(end)
  asm.bind(ipv4)
  walkIpv4(emit, transport, end)
  asm.bind(ipv6)
  walkIpv6(emit, transport, end)
  asm.bind(transport)
  walkTransport(emit, end)
  asm.bind(end)
  leave(emit, 0)
}
