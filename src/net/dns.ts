// DNS messages as bytes (RFC 1035 section 4): one question, answers of the types A, AAAA and CNAME. Names are written without
// compression and read with it.
import { type IpAddress, isIpv4, readIpv4, readIpv6, writeIpv4, writeIpv6 } from './address.ts'
import { concatBytes, readU8, readU16, readU32, writeU16, writeU32 } from './bytes.ts'

/** Types of records that are known by name. */
export const dnsType = { A: 1, CNAME: 5, AAAA: 28 } as const

/** Response codes. */
export const dnsCode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

const classInternet = 1
const flag = { response: 0x8000, recursionDesired: 0x0100, recursionAvailable: 0x0080 } as const
const headerBytes = 12
const labelMax = 63
/** As written: without the length of the first label and the root's. */
const nameMax = 253

/** An answer: an address, or for CNAME another name. */
export interface DnsRecord {
  readonly name: string
  readonly type: number
  /** Seconds. */
  readonly ttl: number
  readonly address?: IpAddress
  readonly target?: string
}

export interface DnsMessage {
  readonly id: number
  readonly isResponse: boolean
  readonly recursionDesired: boolean
  readonly recursionAvailable: boolean
  readonly code: number
  /** Without the final dot, as sent. */
  readonly name: string
  readonly type: number
  readonly answers: readonly DnsRecord[]
}

/** `A` for 1; the number where there is no name. */
export function dnsTypeName(type: number): string {
  return Object.entries(dnsType).find(([, number]) => number === type)?.[0] ?? String(type)
}

/** `REFUSED` for 5. */
export function dnsCodeName(code: number): string {
  return Object.entries(dnsCode).find(([, number]) => number === code)?.[0] ?? String(code)
}

/** Whether a name can be asked for: ASCII, labels of 1 to 63 bytes, 255 in all (RFC 1035 section 2.3.4). */
export function isDnsName(name: string): boolean {
  const labels = name.replace(/\.$/, '').split('.')
  const fits = labels.every((label) => label.length > 0 && label.length <= labelMax)
  return fits && labels.join('.').length <= nameMax && /^[\x21-\x7e]+$/.test(name)
}

interface NameRead {
  readonly name: string
  readonly next: number
}

/** A name at `at`; undefined when it is malformed, or longer than RFC 1035 allows. */
function readName(bytes: Uint8Array, at: number): NameRead | undefined {
  const labels: string[] = []
  let place = at
  let next = -1
  for (let steps = 0; steps < 128; steps += 1) {
    if (place >= bytes.length) return undefined
    const size = readU8(bytes, place)
    if (size === 0) return { name: labels.join('.'), next: next === -1 ? place + 1 : next }
    if ((size & 0xc0) === 0xc0) {
      if (place + 1 >= bytes.length) return undefined
      if (next === -1) next = place + 2
      place = readU16(bytes, place) & 0x3fff
      continue
    }
    if (size > labelMax || place + 1 + size > bytes.length) return undefined
    labels.push(String.fromCharCode(...bytes.subarray(place + 1, place + 1 + size)))
    place += 1 + size
  }
  return undefined
}

function readRecord(
  bytes: Uint8Array,
  at: number,
): { readonly record: DnsRecord; readonly next: number } | undefined {
  const owner = readName(bytes, at)
  if (owner === undefined || owner.next + 10 > bytes.length) return undefined
  const { name, next } = owner
  const [type, ttl, size] = [readU16(bytes, next), readU32(bytes, next + 4), readU16(bytes, next + 8)]
  const data = next + 10
  if (data + size > bytes.length) return undefined
  const base = { name, type, ttl }
  const end = data + size
  if (type === dnsType.A && size === 4)
    return { record: { ...base, address: readIpv4(bytes, data) }, next: end }
  if (type === dnsType.AAAA && size === 16)
    return { record: { ...base, address: readIpv6(bytes, data) }, next: end }
  if (type !== dnsType.CNAME) return { record: base, next: end }
  const target = readName(bytes, data)
  return target === undefined ? undefined : { record: { ...base, target: target.name }, next: end }
}

/** A message of one question that fills the bytes; undefined for anything else. */
export function readDns(bytes: Uint8Array): DnsMessage | undefined {
  if (bytes.length < headerBytes || readU16(bytes, 4) !== 1) return undefined
  const question = readName(bytes, headerBytes)
  if (question === undefined || question.next + 4 > bytes.length) return undefined
  const flags = readU16(bytes, 2)
  const answers: DnsRecord[] = []
  let at = question.next + 4
  for (let count = readU16(bytes, 6); count > 0; count -= 1) {
    const read = readRecord(bytes, at)
    if (read === undefined) return undefined
    answers.push(read.record)
    at = read.next
  }
  const hasMore = readU16(bytes, 8) + readU16(bytes, 10) > 0
  if (!hasMore && at !== bytes.length) return undefined
  return {
    id: readU16(bytes, 0),
    isResponse: (flags & flag.response) !== 0,
    recursionDesired: (flags & flag.recursionDesired) !== 0,
    recursionAvailable: (flags & flag.recursionAvailable) !== 0,
    code: flags & 15,
    name: question.name,
    type: readU16(bytes, question.next),
    answers,
  }
}

function nameBytes(name: string): number[] {
  const labels = name === '' ? [] : name.replace(/\.$/, '').split('.')
  return [...labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)]), 0]
}

function recordBytes({ name, type, ttl, address, target }: DnsRecord): Uint8Array {
  const owner = nameBytes(name)
  const data = target === undefined ? [] : nameBytes(target)
  const size = address === undefined ? data.length : isIpv4(address) ? 4 : 16
  const bytes = new Uint8Array(owner.length + 10 + size)
  bytes.set(owner)
  const at = owner.length
  writeU16(bytes, at, type)
  writeU16(bytes, at + 2, classInternet)
  writeU32(bytes, at + 4, ttl)
  writeU16(bytes, at + 8, size)
  if (address === undefined) bytes.set(data, at + 10)
  else if (isIpv4(address)) writeIpv4(bytes, at + 10, address)
  else writeIpv6(bytes, at + 10, address)
  return bytes
}

/** A message as bytes. */
export function writeDns(message: DnsMessage): Uint8Array {
  const name = nameBytes(message.name)
  const answers = message.answers.map(recordBytes)
  const head = new Uint8Array(headerBytes + name.length + 4)
  const flags =
    (message.isResponse ? flag.response : 0) |
    (message.recursionDesired ? flag.recursionDesired : 0) |
    (message.recursionAvailable ? flag.recursionAvailable : 0) |
    message.code
  writeU16(head, 0, message.id)
  writeU16(head, 2, flags)
  writeU16(head, 4, 1)
  writeU16(head, 6, answers.length)
  head.set(name, headerBytes)
  writeU16(head, headerBytes + name.length, message.type)
  writeU16(head, headerBytes + name.length + 2, classInternet)
  return concatBytes([head, ...answers])
}

/** The answer to a query: the same id, name and type. */
export function dnsAnswer(query: DnsMessage, code: number, answers: readonly DnsRecord[]): DnsMessage {
  return { ...query, isResponse: true, recursionAvailable: true, code, answers }
}
