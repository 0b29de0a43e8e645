// struct __sk_buff: where each field lies, and which program type may read or write it. include/uapi/linux/bpf.h;
// net/core/filter.c bpf_skb_is_valid_access(), tc_cls_act_is_valid_access(), cg_skb_is_valid_access(),
// sk_filter_is_valid_access().
import type { ProgramType } from '../contract.ts'

/** Offsets in struct __sk_buff. */
export const skbAt = {
  len: 0,
  pkt_type: 4,
  mark: 8,
  queue_mapping: 12,
  protocol: 16,
  vlan_present: 20,
  vlan_tci: 24,
  vlan_proto: 28,
  priority: 32,
  ingress_ifindex: 36,
  ifindex: 40,
  tc_index: 44,
  cb: 48,
  hash: 68,
  tc_classid: 72,
  data: 76,
  data_end: 80,
  napi_id: 84,
  family: 88,
  remote_ip4: 92,
  local_ip4: 96,
  remote_ip6: 100,
  local_ip6: 116,
  remote_port: 132,
  local_port: 136,
  data_meta: 140,
  flow_keys: 144,
  tstamp: 152,
  wire_len: 160,
  gso_segs: 164,
  sk: 168,
  gso_size: 176,
  tstamp_type: 180,
  hwtstamp: 184,
} as const

export type SkbField = keyof typeof skbAt

/** sizeof(struct __sk_buff) */
export const skbBytes = 192

const wide = new Set<SkbField>(['flow_keys', 'tstamp', 'sk', 'hwtstamp'])

/** Bytes of a field; `cb` and the IPv6 addresses are arrays of words. */
export function skbFieldSize(field: SkbField): number {
  if (wide.has(field)) return 8
  if (field === 'cb') return 20
  if (field === 'remote_ip6' || field === 'local_ip6') return 16
  return field === 'tstamp_type' ? 1 : 4
}

interface Rules {
  readonly hidden: readonly SkbField[]
  readonly writable: readonly SkbField[]
}

const socketFields: readonly SkbField[] = [
  'family',
  'remote_ip4',
  'local_ip4',
  'remote_ip6',
  'local_ip6',
  'remote_port',
  'local_port',
]

const rules: Readonly<Partial<Record<ProgramType, Rules>>> = {
  sched_cls: {
    hidden: ['flow_keys', ...socketFields],
    writable: ['mark', 'tc_index', 'priority', 'tc_classid', 'cb', 'tstamp', 'queue_mapping'],
  },
  cgroup_skb: {
    hidden: ['flow_keys', 'tc_classid', 'data_meta', 'wire_len'],
    writable: ['mark', 'priority', 'cb', 'tstamp'],
  },
  socket_filter: {
    hidden: ['flow_keys', 'tc_classid', 'data', 'data_meta', 'data_end', 'tstamp', 'wire_len', 'hwtstamp'],
    writable: ['cb'],
  },
}

/** Bits of the access tables. */
export const mayRead = 1
export const mayWrite = 2

function tableOf({ hidden, writable }: Rules): Uint8Array {
  const table = new Uint8Array(skbBytes)
  for (const field of Object.keys(skbAt) as SkbField[]) {
    const access = (hidden.includes(field) ? 0 : mayRead) | (writable.includes(field) ? mayWrite : 0)
    table.fill(access, skbAt[field], skbAt[field] + skbFieldSize(field))
  }
  return table
}

const closed = new Uint8Array(skbBytes)
const tables = new Map(
  (Object.keys(rules) as ProgramType[]).map((type) => [type, tableOf(rules[type] as Rules)]),
)

/** What a program of this type may do with each byte of struct __sk_buff: `mayRead`, `mayWrite`, both or 0. */
export function skbAccess(type: ProgramType): Uint8Array {
  return tables.get(type) ?? closed
}

/** The field that an offset lies in; undefined in padding and past the end. */
export function skbFieldAt(offset: number): SkbField | undefined {
  return (Object.keys(skbAt) as SkbField[]).find(
    (field) => offset >= skbAt[field] && offset < skbAt[field] + skbFieldSize(field),
  )
}
