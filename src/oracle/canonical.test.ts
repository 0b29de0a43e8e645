// What the canonical form forgets, and what it keeps.
import { describe, expect, test } from 'vitest'
import { bytesOfHex } from '../../test/bytes-of-hex.ts'
import { bytesToHex } from '../net/hex.ts'
import { Canonical } from './canonical.ts'

const ethernet = '0251 7e56 a242 0268 096f 53ae 0800'
/** UDP from 10.1.0.2 to 10.2.0.1 with these identification and header sum. */
const datagram = (identification: string, sum: string): string =>
  `4500 0020 ${identification} 4000 4011 ${sum} 0a01 0002 0a02 0001 1046 1b58 000c 0000 6162 6364`
const one = datagram('2a23', 'fca4')
const two = datagram('4808', 'debf')

function form(hex: string): string {
  return bytesToHex(new Canonical().frame(bytesOfHex(hex)))
}

describe('the IP header', () => {
  test('its identification is forgotten, its sum only right or wrong', () => {
    expect(form(`${ethernet} ${one}`)).toBe(form(`${ethernet} ${two}`))
    expect(form(`${ethernet} ${one}`)).not.toBe(form(`${ethernet} ${datagram('4808', 'dead')}`))
  })

  test.each([
    ['bytes were put in front of the frame', `0000 0000 ${ethernet}`],
    ['the frame begins four bytes later', ethernet.slice(10)],
    ['there is a hole behind the Ethernet header', `${ethernet} 0000 0000 0000 0000`],
  ])('it is found where %s', (_what, before) => {
    expect(form(`${before} ${one}`)).toBe(form(`${before} ${two}`))
    expect(form(`${before} ${one}`)).not.toBe(form(`${before} ${one.replace('6162', '6163')}`))
  })

  test('one that is cut has no identification either', () => {
    expect(form(`${ethernet} ${one.slice(0, 30)}`)).toBe(form(`${ethernet} ${two.slice(0, 30)}`))
  })
})

test('edges of SACK blocks are told from the start of the stream', () => {
  const head = `${ethernet} 4500 00 LL 0000 4000 4006 0000 0a01 0002 0a02 0001 0fa0 0050`
  const syn = (start: string): string => `${head.replace('LL', '28')} ${start} 0000 0000 5002 ffff 0000 0000`
  const ack = (from: string, to: string): string =>
    `${head.replace('LL', '34')} 0000 0001 0000 0002 8010 ffff 0000 0000 0101 050a ${from} ${to}`
  const seen = (start: string, from: string, to: string): string => {
    const canonical = new Canonical()
    canonical.frame(bytesOfHex(syn(start)))
    return bytesToHex(canonical.frame(bytesOfHex(ack(from, to))))
  }
  expect(seen('1000 0000', '1000 0001', '1000 0005')).toBe(seen('2000 0000', '2000 0001', '2000 0005'))
  expect(seen('1000 0000', '1000 0001', '1000 0005')).not.toBe(seen('2000 0000', '2000 0001', '2000 0006'))
})

test('of the source port of a tunnel it counts whether a flow keeps it', () => {
  const outer = (port: string, to = '2118'): string =>
    `${ethernet} 4500 0052 0000 4000 4011 0000 0a01 0002 0a02 0001 ${port} ${to} 003e 0000 0800 0000 0000 2a00 ${ethernet} ${one}`
  const seen = (...ports: string[]): string => {
    const canonical = new Canonical()
    return ports.map((port) => bytesToHex(canonical.frame(bytesOfHex(outer(port))))).join(' ')
  }
  expect(seen('aaaa', 'aaaa', 'bbbb')).toBe(seen('cccc', 'cccc', 'dddd'))
  expect(seen('aaaa', 'aaaa', 'bbbb')).not.toBe(seen('aaaa', 'bbbb', 'bbbb'))
  // a program may have led it to another port
  expect(form(outer('aaaa', '1b59'))).toBe(form(outer('bbbb', '1b59')))
})
