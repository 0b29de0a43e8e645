// The text that `ipvsadm-save -n` prints: one `-A` for each service, one `-a` for each of its servers. What enters is the
// text; what leaves are services, or every mistake with its place.
import { type Ipv4, parseIp, parseIpv4 } from '../../net/address.ts'
import {
  type IpvsScheduler,
  type IpvsServerSpec,
  type IpvsServiceSpec,
  type IpvsVirtual,
  ipvsSchedulers,
} from './service.ts'

/** Line and column count from 1. */
export interface IpvsProblem {
  readonly line: number
  readonly column: number
  readonly length: number
  readonly message: string
  readonly hint?: string
}

export type ParsedIpvs =
  | { readonly ok: true; readonly services: readonly IpvsServiceSpec[] }
  | { readonly ok: false; readonly problems: readonly IpvsProblem[] }

interface Token {
  readonly text: string
  readonly column: number
}

type Draft = Omit<IpvsServiceSpec, 'servers'> & { readonly servers: IpvsServerSpec[] }

/** DEF_PERSISTENT of ipvsadm: `-p` without a number. */
const defaultPersistence = 300
const portMax = 65535
const weightMax = 65535

function isScheduler(text: string): text is IpvsScheduler {
  return ipvsSchedulers.some((name) => name === text)
}

function tokensOf(line: string): Token[] {
  return [...line.matchAll(/\S+/g)].map((match) => ({ text: match[0], column: match.index + 1 }))
}

/** The words of one line with what was found wrong in them. */
class Line {
  readonly problems: IpvsProblem[] = []
  private readonly number: number
  private readonly tokens: readonly Token[]
  private at = 0

  constructor(number: number, text: string) {
    this.number = number
    this.tokens = tokensOf(text)
  }

  next(): Token | undefined {
    const token = this.tokens[this.at]
    if (token !== undefined) this.at += 1
    return token
  }

  /** The next word where it is not an option. */
  value(): Token | undefined {
    const token = this.tokens[this.at]
    return token === undefined || token.text.startsWith('-') ? undefined : this.next()
  }

  needed(option: Token, what: string): Token | undefined {
    const token = this.value()
    if (token === undefined) this.wrong(option, `\`${option.text}\` needs ${what}`)
    return token
  }

  wrong(token: Token, message: string, hint?: string): undefined {
    const place = { line: this.number, column: token.column, length: token.text.length }
    this.problems.push({ ...place, message, ...(hint === undefined ? {} : { hint }) })
    return undefined
  }

  number32(option: Token, what: string, max: number): number | undefined {
    const token = this.needed(option, what)
    if (token === undefined) return undefined
    const value = /^[0-9]+$/.test(token.text) ? Number(token.text) : -1
    if (value >= 0 && value <= max) return value
    return this.wrong(token, `\`${token.text}\` is not ${what}`, `a number from 0 to ${max}`)
  }

  /** `10.96.0.10:80`; without a port it is 0. */
  endpoint(option: Token): { readonly address: Ipv4; readonly port: number } | undefined {
    const token = this.needed(option, 'an address with a port')
    if (token === undefined) return undefined
    const [host = '', port = '0', ...more] = token.text.split(':')
    const address = parseIpv4(host)
    const number = /^[0-9]+$/.test(port) ? Number(port) : -1
    if (address !== undefined && more.length === 0 && number >= 0 && number <= portMax) {
      return { address, port: number }
    }
    const six = parseIp(token.text.replace(/^\[(.*)\](:.*)?$/, '$1')) !== undefined
    const hint = six ? 'virtual services of IPv6 are not available yet' : 'write it as `10.96.0.10:80`'
    return this.wrong(token, `\`${token.text}\` is not an address with a port`, hint)
  }
}

/** `-t ADDRESS:PORT`, `-u ADDRESS:PORT`, `-f MARK`; undefined for another option. */
function readVirtual(line: Line, option: Token): IpvsVirtual | undefined {
  if (option.text === '-f') {
    const mark = line.number32(option, 'a mark', 0xffff_ffff)
    return mark === undefined ? undefined : { kind: 'fwmark', mark }
  }
  const end = line.endpoint(option)
  return end === undefined ? undefined : { kind: 'address', protocol: option.text === '-u' ? 17 : 6, ...end }
}

const virtualOptions = ['-t', '-u', '-f']

/** Options of an `-A` line besides the address. */
function readServiceOption(
  line: Line,
  option: Token,
  draft: { scheduler: IpvsScheduler; persistent: number | undefined; netmask: number },
): void {
  if (option.text === '-s') {
    const word = line.needed(option, 'a scheduler')
    if (word === undefined) return
    if (isScheduler(word.text)) draft.scheduler = word.text
    else line.wrong(word, `no scheduler is called \`${word.text}\``, `one of ${ipvsSchedulers.join(', ')}`)
  } else if (option.text === '-p') {
    const word = line.value()
    const seconds = word === undefined ? defaultPersistence : Number(word.text)
    if (word !== undefined && !(/^[0-9]+$/.test(word.text) && seconds > 0))
      line.wrong(word, `\`${word.text}\` is not a number of seconds`)
    else draft.persistent = seconds
  } else if (option.text === '-M') {
    const word = line.needed(option, 'a mask')
    const mask = word === undefined ? undefined : parseIpv4(word.text)
    if (word !== undefined && mask === undefined) line.wrong(word, `\`${word.text}\` is not a mask`)
    draft.netmask = mask ?? draft.netmask
  } else line.wrong(option, `\`${option.text}\` is not an option of a service that is known here`)
}

/** `-A` and what follows; ipvsadm's default scheduler is wlc. */
function readService(line: Line, head: Token): Draft | undefined {
  const draft = { scheduler: 'wlc' as IpvsScheduler, persistent: undefined, netmask: 0xffff_ffff }
  let virtual: IpvsVirtual | undefined
  for (let option = line.next(); option !== undefined; option = line.next()) {
    if (virtualOptions.includes(option.text)) virtual = readVirtual(line, option)
    else readServiceOption(line, option, draft)
  }
  if (line.problems.length > 0) return undefined
  if (virtual === undefined) return line.wrong(head, '`-A` needs `-t`, `-u` or `-f`')
  if (virtual.kind === 'address' && virtual.port === 0 && draft.persistent === undefined) {
    return line.wrong(head, 'a service of all ports must be persistent', 'add a port, or `-p`')
  }
  return { virtual, ...draft, servers: [] }
}

/** Whether two services answer to the same. */
export function sameVirtual(left: IpvsVirtual, right: IpvsVirtual): boolean {
  if (left.kind === 'fwmark' || right.kind === 'fwmark') {
    return left.kind === right.kind && 'mark' in left && 'mark' in right && left.mark === right.mark
  }
  return left.protocol === right.protocol && left.address === right.address && left.port === right.port
}

/** `-a SERVICE -r SERVER`; without `-m` ipvsadm forwards by direct routing. */
function readServer(line: Line, head: Token, services: Draft[], running: readonly IpvsServiceSpec[]): void {
  let virtual: IpvsVirtual | undefined
  let server: { readonly address: Ipv4; readonly port: number } | undefined
  let forward: IpvsServerSpec['forward'] = 'route'
  let weight = 1
  for (let option = line.next(); option !== undefined; option = line.next()) {
    if (virtualOptions.includes(option.text)) virtual = readVirtual(line, option)
    else if (option.text === '-r') server = line.endpoint(option)
    else if (option.text === '-m') forward = 'masq'
    else if (option.text === '-g') forward = 'route'
    else if (option.text === '-w') weight = line.number32(option, 'a weight', weightMax) ?? 1
    else if (option.text === '-x' || option.text === '-y') limit(line, option)
    else line.wrong(option, `\`${option.text}\` is not an option of a server that is known here`)
  }
  if (line.problems.length > 0) return
  if (virtual === undefined || server === undefined) {
    line.wrong(head, '`-a` needs a service and `-r`')
    return
  }
  const wanted = virtual
  const service =
    services.find((each) => sameVirtual(each.virtual, wanted)) ?? draftOf(services, running, wanted)
  if (service === undefined) {
    line.wrong(
      head,
      'there is no such service',
      'a service is made (`-A`, or with a scheduler) before it gets servers',
    )
    return
  }
  place(line, head, service, { ...server, forward, weight })
}

/** A service that runs already and gets more servers. */
function draftOf(
  services: Draft[],
  running: readonly IpvsServiceSpec[],
  wanted: IpvsVirtual,
): Draft | undefined {
  const found = running.find((each) => sameVirtual(each.virtual, wanted))
  if (found === undefined) return undefined
  const draft: Draft = { ...found, servers: [] }
  services.push(draft)
  return draft
}

/** Thresholds are not kept: 0, which means none, is all that can be said. */
function limit(line: Line, option: Token): void {
  const value = line.number32(option, 'a number of connections', 0xffff_ffff)
  if (value !== undefined && value !== 0) line.wrong(option, 'thresholds are not available yet')
}

function place(line: Line, head: Token, service: Draft, server: IpvsServerSpec): void {
  const { virtual } = service
  const own = virtual.kind === 'address' ? virtual.port : 0
  // only NAT can change the port
  const port = server.forward === 'masq' && server.port !== 0 ? server.port : own
  if (service.servers.some((each) => each.address === server.address && each.port === port)) {
    line.wrong(head, 'this server is there already')
    return
  }
  service.servers.push({ ...server, port })
}

/**
 * Reads an `ipvsadm-save` text; `before` are services that texts in front of it have made, and `running` those of a running
 * host, which may be named again.
 */
export function parseIpvs(
  text: string,
  before: readonly IpvsServiceSpec[] = [],
  running: readonly IpvsServiceSpec[] = [],
): ParsedIpvs {
  const services: Draft[] = []
  const problems: IpvsProblem[] = []
  text.split('\n').forEach((content, index) => {
    const line = new Line(index + 1, content)
    const head = line.next()
    if (head === undefined || head.text.startsWith('#')) return
    if (head.text === '-A') {
      const service = readService(line, head)
      const known = [...before, ...services]
      if (service !== undefined && known.some((each) => sameVirtual(each.virtual, service.virtual)))
        line.wrong(head, 'this service is there already')
      else if (service !== undefined) services.push(service)
    } else if (head.text === '-a') readServer(line, head, services, running)
    else line.wrong(head, `\`${head.text}\` is not known here`, 'the text has lines with `-A` and `-a`')
    problems.push(...line.problems)
  })
  return problems.length > 0 ? { ok: false, problems } : { ok: true, services }
}
