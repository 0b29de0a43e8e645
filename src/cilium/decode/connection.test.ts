import { expect, test } from 'vitest'
import { connectionText } from './connection.ts'
import type { Era } from './notification.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
/** 10.0.1.10:40000 > 10.0.1.11:8080, SYN: from recorded run `tunnel`, a1. */
const syn = bytes(
  '0e00000010010a000000100108004500002812344000400612880a00010a0a00010b9c401f90000003e8000000005002faf0df240000',
)
/** 10.0.2.10:40022 to the same in VXLAN, as eth0 sent it (b1). */
const tunnelled = bytes(
  '02000000000102000000000208004500005a0000000040110000c0a80002c0a80001000021180046000008000000004e21000e00000020010a000000200108004500002812344000400611880a00020a0a00010b9c561f90000003e8000000005002faf0de0e0000',
)
const ends = '10.0.1.10:40000 -> 10.0.1.11:8080'

function told(captured: Uint8Array, era: Era = '1.19', flags = 0): string {
  return connectionText({ captured, length: captured.length }, flags, era)
}

/** The SYN with other bytes. */
function changed(...changes: readonly (readonly [at: number, byte: number])[]): Uint8Array {
  const copy = Uint8Array.from(syn)
  for (const [at, byte] of changes) copy[at] = byte
  return copy
}

test('what a tunnel carries stands first', () => {
  expect(told(tunnelled, '1.19', 4)).toBe(
    '10.0.2.10:40022 -> 10.0.1.11:8080 tcp SYN [tunnel 192.168.0.2:0 -> 192.168.0.1:8472 vxlan]',
  )
  expect(told(tunnelled)).toBe('192.168.0.2:0 -> 192.168.0.1:8472 udp')
  expect(told(new Uint8Array(0))).toBe('[unknown]')
})

test('a packet that is longer than what was captured has its headers all the same', () => {
  const captured = changed([16, 1000 >> 8], [17, 1000 & 0xff])
  expect(connectionText({ captured, length: 1014 }, 0, '1.19')).toBe(`${ends} tcp SYN`)
})

test('no piece of a packet has ports, the first neither', () => {
  expect(told(changed([20, 0x20]))).toBe('10.0.1.10 -> 10.0.1.11')
  expect(told(changed([20, 0x00], [21, 0x02]))).toBe('10.0.1.10 -> 10.0.1.11')
})

test('behind a VLAN tag nothing is found', () => {
  const tagged = Uint8Array.from([...syn.subarray(0, 12), 0x81, 0x00, 0x00, 0x05, ...syn.subarray(12)])
  expect(told(tagged)).toBe('0a:00:00:00:10:01 -> 0e:00:00:00:10:01 UnknownEthernetType')
})

/** IPv6 from fd00:1::10 to fd00:2::10 with an echo request behind these extension headers. */
function six(next: number, ...extensions: readonly number[]): Uint8Array {
  const echo = [128, 0, 0, 0, 0, 1, 0, 1]
  const address = (node: number): number[] => [0xfd, 0, 0, node, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]
  const length = extensions.length + echo.length
  const header = [0x60, 0, 0, 0, 0, length, next, 64, ...address(1), ...address(2)]
  return Uint8Array.from([...syn.subarray(0, 12), 0x86, 0xdd, ...header, ...extensions, ...echo])
}

test('of extension headers options hop by hop alone are passed over', () => {
  const pair = 'fd00:1::10 -> fd00:2::10'
  const options = [58, 0, 1, 4, 0, 0, 0, 0]
  expect(told(six(58))).toBe(`${pair} icmp EchoRequest`)
  expect(told(six(0, ...options))).toBe(`${pair} icmp EchoRequest`)
  expect(told(six(60, ...options))).toBe(pair)
  expect(told(six(44, 58, 0, 0, 1, 0, 0, 0, 7))).toBe(pair)
})

test('1.10 does not say `icmp`, and knows no SCTP', () => {
  expect(told(six(58), '1.10')).toBe('fd00:1::10 -> fd00:2::10 EchoRequest')
  const sctp = changed([23, 132])
  expect(told(sctp)).toBe(`${ends} sctp`)
  expect(told(sctp, '1.10')).toBe('10.0.1.10 -> 10.0.1.11')
})
