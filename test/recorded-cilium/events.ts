// Cilium's notifications as the recorder prints them: the bytes of a record in, the fields of an event out.
import { readLe16, readLe32 } from '../../src/bpf/context/byte-order.ts'
import { sourceFileName } from '../../src/cilium/datapath/drop-reason.ts'
import { formatIpv4, formatIpv6, readIpv4, readIpv6 } from '../../src/net/address.ts'

export type Fields = Readonly<Record<string, unknown>>

const points = [
  'to-endpoint',
  'to-proxy',
  'to-host',
  'to-stack',
  'to-overlay',
  'from-endpoint',
  'from-proxy',
  'from-host',
  'from-stack',
  'from-overlay',
  'from-network',
  'to-network',
  'from-crypto',
  'to-crypto',
]
const reasons = ['new', 'established', 'reply', 'related', 'reopened', 'unknown', 'srv6-encap', 'srv6-decap']
const matches = ['none', 'l3-only', 'l3-l4', 'l4-only', 'all', 'l3-proto', 'proto-only']
const directions = ['', 'ingress', 'egress']
const ipv6Flag = 1
const encrypted = 0x80

/** Bytes of each kind of record before the captured packet; the 1.10 era had shorter ones. */
const recordBytes = {
  'v1.19': { trace: 56, drop: 48, verdict: 40 },
  'v1.10': { trace: 48, drop: 32, verdict: 32 },
} as const

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function originalIp(record: Uint8Array, at: number, flags: number): string {
  if ((flags & ipv6Flag) === 0) return formatIpv4(readIpv4(record, at))
  const text = formatIpv6(readIpv6(record, at))
  return text === '::' ? '0.0.0.0' : text
}

function trace(record: Uint8Array, version: keyof typeof recordBytes): Fields {
  const reason = record[26] ?? 0
  const flags = record[27] ?? 0
  return {
    type: 'trace',
    point: points[record[1] ?? 0],
    source_ep: readLe16(record, 2),
    src_identity: readLe32(record, 16),
    dst_identity: readLe32(record, 20),
    dst_ep: readLe16(record, 24),
    reason: reasons[reason & ~encrypted],
    encrypted: (reason & encrypted) !== 0,
    ifindex: readLe32(record, 28),
    orig_ip: originalIp(record, 32, flags),
    flags,
    len: readLe32(record, 8),
    packet: hex(record.subarray(recordBytes[version].trace)),
  }
}

function drop(record: Uint8Array, version: keyof typeof recordBytes): Fields {
  const old = version === 'v1.10'
  const file = sourceFileName(record[30] ?? 0)
  return {
    type: 'drop',
    code: -(record[1] ?? 0),
    source_ep: readLe16(record, 2),
    src_identity: readLe32(record, 16),
    dst_identity: readLe32(record, 20),
    dst_ep: readLe32(record, 24),
    where: old || file === undefined ? '' : `${file}:${readLe16(record, 28)}`,
    ...(old
      ? { ext_error: 0, ifindex: 0, flags: 0 }
      : {
          ext_error: ((record[31] ?? 0) << 24) >> 24,
          ifindex: readLe32(record, 32),
          flags: record[36],
        }),
    len: readLe32(record, 8),
    packet: hex(record.subarray(recordBytes[version].drop)),
  }
}

function verdict(record: Uint8Array, version: keyof typeof recordBytes): Fields {
  const bits = record[27] ?? 0
  return {
    type: 'policy-verdict',
    source_ep: readLe16(record, 2),
    remote_identity: readLe32(record, 16),
    verdict: readLe32(record, 20) | 0,
    dport: readLe16(record, 24),
    proto: record[26],
    dir: directions[bits & 3],
    match: matches[(bits >> 3) & 7],
    audited: (bits >> 6) & 1,
    ...(version === 'v1.10' ? {} : { l3: bits >> 7, auth_type: record[28], cookie: readLe32(record, 32) }),
    len: readLe32(record, 8),
    packet: hex(record.subarray(recordBytes[version].verdict)),
  }
}

/** The fields of a record; a kind that the recorder does not print stays as hex. */
export function eventFields(record: Uint8Array, version: keyof typeof recordBytes): Fields {
  switch (record[0]) {
    case 1:
      return drop(record, version)
    case 4:
      return trace(record, version)
    case 5:
      return verdict(record, version)
    default:
      return { type: `record ${record[0]}`, packet: hex(record) }
  }
}
