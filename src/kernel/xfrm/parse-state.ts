// `state add src A dst B proto esp spi N ... ALGO ...` of `ip xfrm`.
import { type IpAddress, isIpv4 } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import { type Algorithm, aeads, algorithmName, authenticators, ciphers } from './algorithm.ts'
import { noMark, type Selector } from './policy.ts'
import { checkUpper, endsOf, modes, readProtocol, readSelectorWord, selectorFrom } from './selector-words.ts'
import type { StateSpec } from './state.ts'
import type { Token, XfrmLine } from './words.ts'

/** Bits of the keys that an algorithm takes, with the salt that stands behind them. */
const keyBits: Readonly<Record<string, readonly number[]>> = {
  'rfc4106(gcm(aes))': [160, 224, 288],
  'rfc4543(gcm(aes))': [160, 224, 288],
  'rfc4309(ccm(aes))': [152, 216, 280],
  'rfc7539esp(chacha20,poly1305)': [288],
  'cbc(aes)': [128, 192, 256],
  'rfc3686(ctr(aes))': [160, 224, 288],
  'cbc(des3_ede)': [192],
}

type Draft = { -readonly [Key in keyof StateSpec]?: StateSpec[Key] } & {
  aead?: Algorithm
  enc?: Omit<Algorithm, 'icv'>
  auth?: Pick<Algorithm, 'icv' | 'secret' | 'text'>
  anyFamily?: boolean
}

/** A key in hexadecimal, or as text, as hexadecimal digits; an odd number of them has a zero in front (xfrm_algo_parse). */
function keyDigits({ text }: Token): string | undefined {
  if (!text.startsWith('0x') || text.length === 2)
    return [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const digits = text.slice(2).toLowerCase()
  if (!/^[0-9a-f]*$/.test(digits)) return undefined
  return digits.length % 2 === 0 ? digits : `0${digits}`
}

/** NAME and KEY behind `aead`, `enc`, `auth`; both as the kernel keeps them. */
function nameAndKey<Value>(
  line: XfrmLine,
  option: Token,
  known: Readonly<Record<string, Value>>,
): { readonly text: string; readonly value: Value } | undefined {
  const written = line.value(option, 'the name of an algorithm')
  const key = line.value(option, 'a key')
  if (written === undefined || key === undefined) return undefined
  const name = algorithmName(written.text)
  const value = Object.hasOwn(known, name) ? known[name] : undefined
  if (value === undefined)
    return line.wrong(
      written,
      `\`${written.text}\` is not known as \`${option.text}\``,
      Object.keys(known).join(', '),
    )
  const digits = keyDigits(key)
  if (digits === undefined) return line.wrong(key, `\`${key.text}\` is no key`, 'hexadecimal digits, or text')
  const bits = digits.length * 4
  const allowed = keyBits[name]
  if (allowed !== undefined && !allowed.includes(bits))
    return line.wrong(key, `a key of ${name} has ${allowed.join(', ')} bits, this one ${bits}`)
  return { text: `${option.text} ${name} ${digits === '' ? '' : `0x${digits}`}`, value }
}

function readAlgorithm(line: XfrmLine, option: Token, draft: Draft): void {
  if (option.text === 'aead') {
    const read = nameAndKey(line, option, aeads)
    const bits = line.number(option, 128)
    if (read === undefined || bits === undefined) return
    const text = [`${read.text} ${bits}`]
    draft.aead = { ...read.value, icv: bits / 8, secret: text.join(' '), text }
    if (bits % 32 !== 0 || bits < 64) line.wrong(option, `a check value has 64, 96 or 128 bits, not ${bits}`)
  } else if (option.text === 'enc') {
    const read = nameAndKey(line, option, ciphers)
    if (read === undefined) return
    draft.enc = { ...read.value, secret: read.text, text: [read.text] }
  } else {
    const read = nameAndKey(line, option, authenticators)
    const bits = option.text === 'auth-trunc' ? line.number(option, 512) : read?.value
    if (read === undefined || bits === undefined) return
    const text = [`${read.text.replace(/^auth /, 'auth-trunc ')} ${bits}`]
    draft.auth = { icv: bits / 8, secret: text.join(' '), text }
    if (bits % 32 !== 0)
      line.wrong(option, `a check value of ${bits} bits is not modelled`, 'a multiple of 32')
  }
}

function readSelector(line: XfrmLine): Selector {
  const draft: Parameters<typeof readSelectorWord>[2] = {}
  const words = ['src', 'dst', 'proto', 'sport', 'dport', 'type', 'code']
  while (words.includes(line.peek() ?? '')) readSelectorWord(line, line.next() as Token, draft)
  checkUpper(line, draft)
  return selectorFrom(draft, 4)
}

function readFlag(line: XfrmLine, option: Token, draft: Draft): void {
  const flags = ['noecn', 'nopmtudisc', 'af-unspec', 'esn'] as const
  const flag = line.one(option, flags)
  if (flag === 'esn') draft.esn = true
  else if (flag === 'af-unspec') draft.anyFamily = true
  else if (flag !== undefined) draft.flags = [...(draft.flags ?? []), flag]
}

const algorithmWords = ['aead', 'enc', 'auth', 'auth-trunc']

function readWord(
  line: XfrmLine,
  token: Token,
  draft: Draft,
  ends: { source?: IpAddress; destination?: IpAddress },
): void {
  if (algorithmWords.includes(token.text)) return readAlgorithm(line, token, draft)
  switch (token.text) {
    case 'src':
    case 'dst': {
      const address = line.address(token)
      if (address !== undefined) ends[token.text === 'src' ? 'source' : 'destination'] = address
      return
    }
    case 'proto':
      readProtocol(line, token)
      return
    case 'spi':
      draft.spi = line.number(token) ?? 0
      return
    case 'reqid':
      draft.reqid = line.number(token) ?? 0
      return
    case 'mode':
      draft.mode = line.one(token, modes) ?? 'transport'
      return
    case 'mark':
      draft.mark = line.mark(token) ?? noMark
      return
    case 'output-mark':
      draft.outputMark = line.mark(token) ?? noMark
      return
    case 'replay-window':
      draft.replayWindow = line.number(token, 4096) ?? 0
      return
    case 'flag':
      readFlag(line, token, draft)
      return
    case 'sel':
      draft.selector = readSelector(line)
      return
    default:
      line.stop(
        token,
        `\`${token.text}\` is no word of a state here`,
        `src, dst, proto, spi, reqid, mode, mark, output-mark, replay-window, flag, sel, ${algorithmWords.join(', ')}`,
      )
  }
}

/** Both ways of saying what ESP does: authenticated encryption, or encryption with a sum of its own. */
function algorithmOf(line: XfrmLine, verb: Token, { aead, enc, auth }: Draft): Algorithm | undefined {
  if (aead !== undefined && (enc !== undefined || auth !== undefined))
    return line.wrong(verb, '`aead` stands alone: it authenticates and encrypts')
  if (aead !== undefined) return aead
  if (enc === undefined) return line.wrong(verb, 'ESP needs `aead`, or `enc` and mostly `auth`')
  const [icv, secret, text] = auth === undefined ? [0, '', []] : [auth.icv, auth.secret, auth.text]
  return { ...enc, icv, secret: `${secret} ${enc.secret}`, text: [...text, ...enc.text] }
}

/** The rest of `state add|update|delete`. */
export function readState(line: XfrmLine, verb: Token, isDelete: boolean): StateSpec | undefined {
  const draft: Draft = {}
  const given: { source?: IpAddress; destination?: IpAddress } = {}
  for (let token = line.next(); token !== undefined; token = line.next()) readWord(line, token, draft, given)
  const ends = endsOf(line, verb, given, 4)
  if (line.problems.length > 0) return undefined
  if (given.destination === undefined) return line.wrong(verb, 'a state needs `dst`')
  const { spi = 0, reqid = 0, mode = 'transport', mark = noMark, outputMark = noMark } = draft
  const { replayWindow = 0, esn = false, flags = [] } = draft
  if (spi === 0) return line.wrong(verb, 'a state of ESP needs a `spi` that is not 0')
  if (esn && replayWindow === 0) return line.wrong(verb, '`flag esn` needs a `replay-window`')
  const none: Algorithm = { iv: 0, block: 1, icv: 0, secret: '', text: [] }
  const algorithm = isDelete ? none : algorithmOf(line, verb, draft)
  if (algorithm === undefined) return undefined
  const own = selectorFrom({}, isIpv4(ends.source) ? 4 : 6)
  const selector = draft.selector ?? (draft.anyFamily === true ? undefined : own)
  const common = { ...ends, protocol: ipProtocol.esp, spi, reqid, mode, mark, outputMark }
  return { ...common, algorithm, replayWindow, esn, flags, selector }
}
