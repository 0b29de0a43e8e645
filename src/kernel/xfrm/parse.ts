// Lines as `ip xfrm` takes them: `state add ...`, `policy add ...`. What enters is the text; what leaves are commands, or every
// mistake with its place. iproute2 ip/xfrm_state.c, ip/xfrm_policy.c; the checks are those of net/xfrm/xfrm_user.c.
import type { IpAddress } from '../../net/address.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { XfrmCommand } from './install.ts'
import { readState } from './parse-state.ts'
import { type Direction, directions, type Mode, noMark, type Policy, type Template } from './policy.ts'
import {
  checkUpper,
  endsOf,
  modes,
  readProtocol,
  readSelectorWord,
  type SelectorDraft,
  selectorFrom,
} from './selector-words.ts'
import { type Token, XfrmLine, type XfrmProblem } from './words.ts'

/** A command with its line, and the words that it begins with. */
export interface XfrmWritten {
  readonly command: XfrmCommand
  readonly at: Pick<XfrmProblem, 'line' | 'column' | 'length'>
}

export type ParsedXfrm =
  | { readonly ok: true; readonly commands: readonly XfrmWritten[] }
  | { readonly ok: false; readonly problems: readonly XfrmProblem[] }

const levels = ['required', 'use'] as const

/** `tmpl src A dst B proto esp spi N reqid N mode M level L`, up to the next word that is none of its own. */
function readTemplate(line: XfrmLine, token: Token, family: 4 | 6): Template {
  const ends: { source?: IpAddress; destination?: IpAddress } = {}
  let [spi, reqid, mode, optional] = [0, 0, 'transport' as Mode, false]
  const words = ['src', 'dst', 'proto', 'spi', 'reqid', 'mode', 'level']
  while (words.includes(line.peek() ?? '')) {
    const word = line.next() as Token
    if (word.text === 'src' || word.text === 'dst') {
      const address = line.address(word)
      if (address !== undefined) ends[word.text === 'src' ? 'source' : 'destination'] = address
    } else if (word.text === 'proto') readProtocol(line, word)
    else if (word.text === 'spi') spi = line.number(word) ?? 0
    else if (word.text === 'reqid') reqid = line.number(word) ?? 0
    else if (word.text === 'mode') mode = line.one(word, modes) ?? mode
    else optional = line.one(word, levels) === 'use'
  }
  return { ...endsOf(line, token, ends, family), protocol: ipProtocol.esp, spi, reqid, mode, optional }
}

const policyWords = 'src dst proto sport dport type code dir mark action priority tmpl'.split(' ')

/** The rest of `policy add|update|delete`. */
function readPolicy(line: XfrmLine, verb: Token): Policy | undefined {
  const draft: SelectorDraft = {}
  const templates: { readonly token: Token; readonly at: Template }[] = []
  let direction: Direction | undefined
  let mark: Policy['mark'] = noMark
  let [priority, action] = [0, 'allow' as Policy['action']]
  for (let token = line.next(); token !== undefined; token = line.next()) {
    if (readSelectorWord(line, token, draft)) continue
    if (token.text === 'dir') direction = line.one(token, directions)
    else if (token.text === 'mark') mark = line.mark(token) ?? noMark
    else if (token.text === 'priority') priority = line.number(token) ?? 0
    else if (token.text === 'action') action = line.one(token, ['allow', 'block'] as const) ?? action
    else if (token.text === 'ptype') line.one(token, ['main'] as const)
    else if (token.text === 'tmpl')
      templates.push({ token, at: readTemplate(line, token, selectorFrom(draft, 4).family) })
    else line.stop(token, `\`${token.text}\` is no word of a policy here`, policyWords.join(', '))
  }
  checkUpper(line, draft)
  if (line.problems.length > 0) return undefined
  if (direction === undefined) return line.wrong(verb, 'a policy needs `dir in`, `dir out` or `dir fwd`')
  for (const { token, at } of templates)
    if (at.optional && at.mode === 'tunnel' && direction === 'out')
      line.wrong(token, 'the kernel takes no optional tunnel for what leaves (EINVAL)')
  const selector = selectorFrom(draft, 4)
  return { direction, selector, mark, priority, action, templates: templates.map((each) => each.at) }
}

const verbs = ['add', 'update', 'delete', 'del', 'flush'] as const

function readLine(line: XfrmLine): XfrmCommand | undefined {
  const object = line.next()
  if (object === undefined) return undefined
  if (object.text !== 'state' && object.text !== 'policy')
    return line.wrong(object, `\`${object.text}\` is no object of \`ip xfrm\``, '`state` or `policy`')
  const token = line.peek() === undefined ? object : (line.next() as Token)
  const verb = verbs.find((each) => each === token.text)
  if (verb === undefined)
    return line.wrong(token, `\`${object.text}\` is followed by what happens`, 'add, update, delete or flush')
  if (verb === 'flush') return { object: object.text, verb }
  const isDelete = verb === 'del' || verb === 'delete'
  if (object.text === 'policy') {
    const policy = readPolicy(line, token)
    if (policy === undefined) return undefined
    return { object: 'policy', verb: isDelete ? 'delete' : verb, policy }
  }
  const state = readState(line, token, isDelete)
  return state === undefined ? undefined : { object: 'state', verb: isDelete ? 'delete' : verb, state }
}

/** Reads a text, a command on each line; `#` begins a comment. */
export function parseXfrm(text: string): ParsedXfrm {
  const commands: XfrmWritten[] = []
  const problems: XfrmProblem[] = []
  text.split('\n').forEach((each, index) => {
    const line = new XfrmLine(index + 1, each)
    const command = readLine(line)
    problems.push(...line.problems)
    const { column = 1, text: word = '' } = line.first ?? {}
    if (command !== undefined)
      commands.push({ command, at: { line: index + 1, column, length: word.length } })
  })
  return problems.length > 0 ? { ok: false, problems } : { ok: true, commands }
}
