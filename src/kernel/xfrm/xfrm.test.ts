// IPsec where no scenario reaches: sizes, numbers that come twice, bytes that were changed, and the words of `ip xfrm`. The
// sizes are those of packets that Linux 6.1 sent.
import { expect, test } from 'vitest'
import { ipv4From } from '../../net/address.ts'
import { etherType } from '../../net/protocol.ts'
import { addDummy } from '../device/dummy.ts'
import { createMachine } from '../machine.ts'
import { addNamespace } from '../namespace.ts'
import { type Skb, skbFromPacket } from '../skb.ts'
import { espOpen, espSeal } from './esp.ts'
import { changeTables } from './install.ts'
import { parseXfrm } from './parse.ts'
import { mayCome, noteNumber, StateTable, stateMtu, wholeNumber, type XfrmState } from './state.ts'
import { emptyTables } from './tables.ts'

const gcm = 'aead rfc4106(gcm(aes)) 0x4040404040404040404040404040404040404040 128'
const cbc =
  'auth hmac(sha256) 0x00112233445566778899aabbccddeeff enc cbc(aes) 0x00112233445566778899aabbccddeeff'
const ends4 = 'src 10.9.0.1 dst 10.9.0.2'
const ends6 = 'src fd09::1 dst fd09::2'

function stateOf(words: string): XfrmState {
  const parsed = parseXfrm(`state add proto esp spi 3 ${words}`)
  const states = new StateTable()
  for (const { command } of parsed.ok ? parsed.commands : [])
    if (command.object === 'state' && command.verb === 'add') states.add(command.state)
  const [state] = states.list()
  if (state === undefined) throw new Error(JSON.stringify(parsed))
  return state
}

function packetOf(length: number): Skb {
  const ns = addNamespace(createMachine({ seed: 1 }), { name: 'n' })
  const dev = addDummy(ns, { name: 'd0', mac: 2, mtu: 1500 })
  return skbFromPacket(dev, new Uint8Array(length).fill(7), etherType.ipv4)
}

test.each([
  [`${ends4} mode tunnel ${gcm}`, 1446],
  [`${ends4} mode transport ${cbc}`, 1458],
  [`${ends6} mode tunnel ${gcm.replace('128', '96')}`, 1430],
])('%s leaves room for %i bytes of 1500', (words, room) => {
  expect(stateMtu(stateOf(words), 1500)).toBe(room)
})

test.each([
  [`${ends4} mode tunnel ${gcm}`, 84, 120],
  [`${ends4} mode tunnel ${gcm}`, 1446, 1480],
  [`${ends4} mode transport ${cbc}`, 13, 52],
  [`${ends4} mode transport ${cbc}`, 1398, 1444],
  [`${ends4} mode transport ${cbc}`, 1418, 1460],
])('%s makes %i bytes an ESP packet of %i', (words, length, sealed) => {
  const state = stateOf(words)
  const skb = packetOf(length)
  espSeal(skb, state, 4)
  expect(skb.length).toBe(sealed)
  expect(espOpen(skb, { ...state }, 1)).toBe(4)
  expect(skb.bytes.slice(skb.data, skb.tail)).toEqual(new Uint8Array(length).fill(7))
})

test('what was changed, or comes with another number, is not opened', () => {
  const state = stateOf(`${ends4} mode tunnel ${gcm}`)
  const sealed = (): Skb => {
    const skb = packetOf(50)
    espSeal(skb, { ...state, sent: 0 }, 4)
    return skb
  }
  expect(espOpen(sealed(), state, 2)).toBe('EBADMSG')
  const changed = sealed()
  changed.bytes[changed.tail - 20] = (changed.bytes[changed.tail - 20] as number) ^ 1
  expect(espOpen(changed, state, 1)).toBe('EBADMSG')
  const short = sealed()
  short.tail -= 1
  expect(espOpen(short, state, 1)).toBe('EINVAL')
})

test('a number comes once, and not behind the window', () => {
  const state = stateOf(`${ends4} mode tunnel replay-window 4 ${gcm}`)
  expect(mayCome(state, 0)).toBe(false)
  for (const number of [1, 3, 6]) noteNumber(state, number)
  expect([2, 3, 4, 5, 6, 7].map((number) => mayCome(state, number))).toEqual([
    false,
    false,
    true,
    true,
    false,
    true,
  ])
  expect(mayCome(stateOf(`${ends4} ${gcm}`), 0)).toBe(true)
})

test('of a number of 64 bits the lower half says enough', () => {
  const state = stateOf(`${ends4} replay-window 32 flag esn ${gcm}`)
  const turn = 0x1_0000_0000
  expect(wholeNumber(state, 7)).toBe(7)
  state.received = turn - 5
  expect(wholeNumber(state, 3)).toBe(turn + 3)
  state.received = turn + 3
  expect(wholeNumber(state, turn - 5)).toBe(turn - 5)
  expect(wholeNumber(state, 9)).toBe(turn + 9)
})

test('the state of a packet is found by number, end and mark', () => {
  const states = new StateTable()
  const add = (words: string): string => {
    const parsed = parseXfrm(`state add proto esp mode tunnel ${gcm} ${words}`)
    const command = parsed.ok ? parsed.commands[0]?.command : undefined
    return command?.object === 'state' && command.verb === 'add' ? states.add(command.state) : 'unread'
  }
  expect(add(`${ends4} spi 3 mark 0x10d00 mask 0xffff0f00`)).toBe('ok')
  expect(add(`${ends4} spi 3 mark 0x20d00 mask 0xffff0f00`)).toBe('ok')
  expect(add(`src 10.9.0.7 dst 10.9.0.2 spi 3 mark 0x20d00 mask 0xffff0f00`)).toBe('EEXIST')
  const wanted = { destination: ipv4From(0x0a090002), protocol: 50, spi: 3 }
  expect(states.lookup(0x20d00, wanted)?.mark.value).toBe(0x20d00)
  expect(states.lookup(0xd00, wanted)).toBeUndefined()
})

test('a key is the same however it is written, and told as the kernel keeps it', () => {
  const written = stateOf(`${ends4} enc "aes" 0xABcdef00000000000000000000000001 auth md5 0x123`)
  const told = stateOf(`${ends4} enc cbc(aes) 0xabcdef00000000000000000000000001 auth hmac(md5) '0x0123'`)
  expect(written.algorithm).toEqual(told.algorithm)
  expect(written.algorithm.text).toEqual([
    'auth-trunc hmac(md5) 0x0123 96',
    'enc cbc(aes) 0xabcdef00000000000000000000000001',
  ])
  expect(stateOf(`${ends4} enc cipher_null "" auth sha1 secret`).algorithm.text).toEqual([
    'auth-trunc hmac(sha1) 0x736563726574 96',
    'enc ecb(cipher_null) ',
  ])
})

test('an update gives a state another output mark, and nothing else', () => {
  const tables = emptyTables()
  const change = (line: string): readonly string[] => {
    const parsed = parseXfrm(line)
    return parsed.ok ? parsed.commands.map(({ command }) => changeTables(tables, command)) : ['unread']
  }
  const state = `${ends4} proto esp spi 3 reqid 1 mode tunnel`
  expect(change(`state update ${state} ${gcm}`)).toEqual(['ESRCH'])
  expect(change(`state add ${state} ${gcm}`)).toEqual(['ok'])
  expect(change(`state update ${state.replace('reqid 1', 'reqid 2')} ${cbc} output-mark 5`)).toEqual(['ok'])
  const [now] = tables.states.list()
  expect(now?.reqid).toBe(1)
  expect(now?.algorithm).toEqual(stateOf(`${ends4} ${gcm}`).algorithm)
  expect(now?.outputMark.value).toBe(5)
})

test.each([
  ['route add', '`route` is no object of `ip xfrm`'],
  ['policy show', '`policy` is followed by what happens'],
  ['policy add src 10.0.0.0/8', 'a policy needs `dir in`, `dir out` or `dir fwd`'],
  ['policy add dir up', '`up` is not `dir`’s'],
  ['policy add dir out proto icmp sport 5', 'this protocol has no `sport`'],
  ['policy add dir out type 5', 'this protocol has no `type`'],
  [`state add ${ends4} proto esp spi 3 enc cipher_null 0xzz`, '`0xzz` is no key'],
  ['policy add dir out dev eth0', '`dev` is no word of a policy here'],
  ['policy add dir out tmpl proto ah', '`ah` is not available yet'],
  [
    'policy add dir out tmpl mode tunnel level use',
    'the kernel takes no optional tunnel for what leaves (EINVAL)',
  ],
  ['policy add dir in tmpl src 10.0.0.1 dst fd00::1', 'source and destination are of one family'],
  [`state add ${ends4} proto esp ${gcm}`, 'a state of ESP needs a `spi` that is not 0'],
  [`state add ${ends4} proto esp spi 3`, 'ESP needs `aead`, or `enc` and mostly `auth`'],
  [`state add ${ends4} proto esp spi 3 ${gcm} ${cbc}`, '`aead` stands alone: it authenticates and encrypts'],
  [
    `state add ${ends4} proto esp spi 3 aead rfc4106(gcm(aes)) 0x1234 128`,
    'a key of rfc4106(gcm(aes)) has 160, 224, 288 bits, this one 16',
  ],
  [`state add ${ends4} proto esp spi 3 flag esn ${gcm}`, '`flag esn` needs a `replay-window`'],
  [
    `state add ${ends4} proto esp spi 3 encap espinudp 1 1 0.0.0.0 ${gcm}`,
    '`encap` is no word of a state here',
  ],
])('%s is a mistake', (text, message) => {
  const parsed = parseXfrm(text)
  expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.message)).toEqual([message])
})
