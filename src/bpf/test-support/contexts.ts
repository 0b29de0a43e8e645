// Contexts for the tests of this folder: a frame or an skb over plain bytes, and a kernel that answers what a test says.

import { writeU16 } from '../../net/bytes.ts'
import { checksumOf, writeSegmentChecksum } from '../../net/checksum.ts'
import type { Fact, Snapshot } from '../../trace/event.ts'
import { Recorder } from '../../trace/recorder.ts'
import type { KernelServices, RunContext, SkbView, TunnelKey, XdpBuff } from '../contract.ts'
import { hexText } from '../maps/layout.ts'

const kernelDefaults: KernelServices = {
  nowNs: () => 1_000_000_000,
  random32: () => 0x1234_5678,
  cpu: 0,
  fibLookup: () => ({
    code: 4,
    ifindex: 0,
    gateway: [],
    sourceMac: 0,
    destinationMac: 0,
    mtu: 0,
    metric: 0,
    preferredSource: [],
  }),
  cloneRedirect: () => 0,
  deviceMtu: (ifindex) => (ifindex < 10 ? 1500 : undefined),
  flowHash: () => 77,
  netnsCookie: () => 3,
  lookupSocket: () => undefined,
  assignSocket: () => 0,
}

type Extra = Partial<KernelServices> & { readonly trace?: Recorder }

function base(type: RunContext['type'], extra: Extra): RunContext {
  const { trace, ...services } = extra
  return {
    type,
    kernel: { ...kernelDefaults, ...services },
    trace,
    redirect: { kind: 'none' },
    retval: 0,
    tailCalls: 0,
    direction: 'ingress',
  }
}

/** struct sk_buff over an array; as little as the contract needs. */
export class TestSkb implements SkbView {
  bytes: Uint8Array
  start = 64
  end: number
  metaBytes = 0
  mark = 0
  priority = 0
  queueMapping = 0
  protocol: number
  pktType = 0
  vlanTci = -1
  vlanProtocol = 0
  readonly ifindex = 2
  readonly ingressIfindex = 2
  tstampType = 0
  get wireLength(): number {
    return this.end - this.start
  }

  hash = 0
  l4Hash = false
  tcIndex = 0
  tcClassid = 0
  readonly cb = new Uint32Array(5)
  tstamp = 0
  readonly gsoSegs = 0
  readonly gsoSize = 0
  tunnelKey: TunnelKey | undefined
  readonly socketCookie = 5
  /** Where an unfinished checksum stands; -1 for none. */
  unfinishedAt = -1

  constructor(frame: Uint8Array) {
    this.bytes = new Uint8Array(64 + frame.length)
    this.bytes.set(frame, 64)
    this.end = this.bytes.length
    this.protocol = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
  }

  get frame(): Uint8Array {
    return this.bytes.slice(this.start, this.end)
  }

  resizeAt(offset: number, delta: number): void {
    const { frame } = this
    const added = new Uint8Array(Math.max(delta, 0))
    const kept = frame.subarray(offset - Math.min(delta, 0))
    // bytes in front of `offset` move; when removing, those at `offset` go
    this.place([frame.subarray(0, offset), added, kept])
  }

  pushHead(bytes: number): void {
    this.resizeAt(0, bytes)
  }

  isSumOutside(at: number): boolean {
    return this.unfinishedAt >= 0 && at !== this.unfinishedAt
  }

  resizeTail(length: number): void {
    const grown = new Uint8Array(length)
    grown.set(this.frame.subarray(0, length))
    this.place([grown])
  }

  private place(parts: readonly Uint8Array[]): void {
    const length = parts.reduce((total, part) => total + part.length, 0)
    const bytes = new Uint8Array(64 + length)
    let at = 64
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    this.bytes = bytes
    this.end = bytes.length
  }
}

/** A context of a tc program. */
export function tcContext(frame: Uint8Array, extra: Extra = {}): RunContext & { readonly skb: TestSkb } {
  return { ...base('sched_cls', extra), skb: new TestSkb(frame) }
}

/** A context of an XDP program: 256 bytes of headroom in a page of 4096 with 320 bytes of shared info. */
export function xdpContext(frame: Uint8Array, extra: Extra = {}): RunContext & { readonly xdp: XdpBuff } {
  const bytes = new Uint8Array(4096)
  bytes.set(frame, 256)
  const xdp: XdpBuff = {
    bytes,
    hardStart: 0,
    meta: 256,
    data: 256,
    dataEnd: 256 + frame.length,
    frameEnd: 4096 - 320,
    ifindex: 2,
    rxQueueIndex: 0,
    mode: 'native',
  }
  return { ...base('xdp', extra), xdp }
}

/** The frame as it is now. */
export function frameOf(context: RunContext): Uint8Array {
  const { xdp, skb } = context
  if (xdp !== undefined) return xdp.bytes.slice(xdp.data, xdp.dataEnd)
  return skb === undefined ? new Uint8Array() : skb.bytes.slice(skb.start, skb.end)
}

const snapshot: Snapshot = {
  bytes: new Uint8Array(),
  start: 'ethernet',
  mark: 0,
  pktType: 0,
  vlanTci: -1,
  metaBytes: 0,
}

function factText(fact: Fact): string {
  switch (fact.kind) {
    case 'map':
      return `map ${fact.map} ${fact.keyText}: ${fact.beforeText ?? '-'} -> ${fact.afterText ?? '-'}`
    case 'lookup':
      return `lookup ${fact.map} ${fact.keyText} = ${fact.valueText ?? '-'}`
    case 'helper':
      return `${fact.name}(${fact.args}) = ${fact.result}`
    case 'tail-call':
      return `tail ${fact.map}[${fact.index}] ${fact.program ?? '-'}`
    case 'record':
      return `record ${fact.map} ${hexText(fact.bytes)}`
    case 'kernel':
      return `${fact.word}: ${fact.text}`
    case 'drop':
    case 'fib':
    case 'tracepoint':
      return fact.kind
  }
}

/** A recorder with one open hook; `facts()` closes it and gives what it was told, as one line each. */
export function recording(options: { readonly full: boolean }): {
  readonly trace: Recorder
  readonly facts: () => string[]
} {
  const trace = new Recorder({ full: options.full, now: () => 0 })
  const packet = { record: undefined, seen: undefined, snapshot: () => snapshot, shows: () => true }
  const record = trace.birth(packet, { name: 'p1' })
  trace.begin(packet, { node: 'n', device: 'd', stage: 'xdp' }, 'prog')
  const facts = (): string[] => {
    trace.end(packet, undefined)
    return (record.events[0]?.facts ?? []).map(factText)
  }
  return { trace, facts }
}

/** Ethernet, IPv4 10.0.0.1 > 10.0.0.2, UDP 4000 > 80 with `payload` bytes, checksums right. */
export function udpFrame(payload = 8): Uint8Array {
  const bytes = new Uint8Array(42 + payload)
  bytes.set([2, 0, 0, 0, 0, 11, 2, 0, 0, 0, 0, 10, 8, 0])
  bytes.set([0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 14)
  bytes.set([0x0f, 0xa0, 0, 80], 34)
  writeU16(bytes, 16, 28 + payload)
  writeU16(bytes, 38, 8 + payload)
  writeU16(bytes, 24, checksumOf(bytes, 14, 34))
  writeSegmentChecksum(bytes, { l3: 14, l4: 34, end: bytes.length, protocol: 17 })
  return bytes
}
