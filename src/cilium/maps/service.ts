// struct lb4_key, lb4_service, lb4_backend, lb4_reverse_nat and their IPv6 siblings: the maps of services. lib/lb.h
import { readLe16, readLe32, writeLe16 } from '../../bpf/context/byte-order.ts'
import { readU16, writeU16 } from '../../net/bytes.ts'
import type { Address, Family } from '../datapath/family.ts'

export const lookupScope = { EXT: 0, INT: 1 } as const

/** SVC_FLAG_* of the first byte of flags. */
export const serviceFlag = {
  EXTERNAL_IP: 1 << 0,
  NODEPORT: 1 << 1,
  EXT_LOCAL_SCOPE: 1 << 2,
  HOSTPORT: 1 << 3,
  AFFINITY: 1 << 4,
  LOADBALANCER: 1 << 5,
  ROUTABLE: 1 << 6,
  SOURCE_RANGE: 1 << 7,
} as const

/** SVC_FLAG_* of the second byte. */
export const serviceFlag2 = {
  LOCALREDIRECT: 1 << 0,
  NAT_46X64: 1 << 1,
  L7_LOADBALANCER: 1 << 2,
  LOOPBACK: 1 << 3,
  L7_DELEGATE: 1 << 3,
  INT_LOCAL_SCOPE: 1 << 4,
  TWO_SCOPES: 1 << 5,
  QUARANTINED: 1 << 6,
  SOURCE_RANGE_DENY: 1 << 6,
  FWD_MODE_DSR: 1 << 7,
} as const

/** struct lb4_key, lb6_key over its bytes; setters write through. */
export class ServiceKey {
  readonly family: Family
  readonly bytes: Uint8Array

  constructor(family: Family) {
    this.family = family
    this.bytes = new Uint8Array(family.addressBytes + 8)
  }

  get address(): Address {
    return this.bytes.subarray(0, this.family.addressBytes)
  }

  set address(address: Address) {
    this.bytes.set(address, 0)
  }

  /** Host order. */
  get dport(): number {
    return readU16(this.bytes, this.family.addressBytes)
  }

  set dport(port: number) {
    writeU16(this.bytes, this.family.addressBytes, port)
  }

  /** 0: the service itself. */
  set backendSlot(slot: number) {
    writeLe16(this.bytes, this.family.addressBytes + 2, slot)
  }

  get protocol(): number {
    return this.bytes[this.family.addressBytes + 4] as number
  }

  set protocol(protocol: number) {
    this.bytes[this.family.addressBytes + 4] = protocol
  }

  set scope(scope: number) {
    this.bytes[this.family.addressBytes + 5] = scope
  }
}

/** struct lb4_service, lb6_service */
export interface Service {
  /** Of a backend's slot; of the service itself the affinity timeout with the algorithm, or the L7 proxy's port. */
  readonly backendId: number
  readonly count: number
  readonly revNatIndex: number
  readonly flags: number
  readonly flags2: number
  readonly quarantined: number
}

/** A service from the bytes of its map. */
export function readService(value: Uint8Array): Service {
  return {
    backendId: readLe32(value, 0),
    count: readLe16(value, 4),
    revNatIndex: readLe16(value, 6),
    flags: value[8] as number,
    flags2: value[9] as number,
    quarantined: readLe16(value, 10),
  }
}

/** struct lb4_reverse_nat, lb6_reverse_nat: the address and port that clients know. */
export interface ReverseNat {
  readonly address: Address
  /** Host order. */
  readonly port: number
}

/** A reverse NAT entry from the bytes of its map. */
export function readReverseNat(family: Family, value: Uint8Array): ReverseNat {
  const { addressBytes } = family
  return { address: value.slice(0, addressBytes), port: readU16(value, addressBytes) }
}

/** struct lb4_backend, lb6_backend */
export interface Backend {
  readonly address: Address
  /** Host order; 0: the packet's port stays. */
  readonly port: number
  /** One of backendState. */
  readonly state: number
  readonly clusterId: number
}

/** BE_STATE_* */
export const backendState = { ACTIVE: 0, TERMINATING: 1, QUARANTINED: 2, MAINTENANCE: 3 } as const

/** A backend from the bytes of its map. */
export function readBackend(family: Family, value: Uint8Array): Backend {
  const { addressBytes } = family
  return {
    address: value.slice(0, addressBytes),
    port: readU16(value, addressBytes),
    state: value[addressBytes + 3] as number,
    clusterId: readLe16(value, addressBytes + 4),
  }
}

const timeoutMask = 0x00ff_ffff
const algorithmShift = 24

/** lb4_affinity_timeout(): seconds that a client keeps its backend. */
export function affinityTimeout(service: Service): number {
  return service.backendId & timeoutMask
}

/** lb4_algorithm(): how the service wants its backends chosen; 0: as all do. */
export function algorithmOf(service: Service): number {
  return service.backendId >>> algorithmShift
}

/** lb4_svc_is_external(): it has an address outside of the cluster. */
export function isExternalService({ flags }: Service): boolean {
  const { EXTERNAL_IP, LOADBALANCER, NODEPORT } = serviceFlag
  return (flags & (EXTERNAL_IP | LOADBALANCER | NODEPORT)) !== 0
}
