// conntrack -D and -F between the steps of a recorded case: which flows a filter of the tool means.
import { type Connection, connStatus } from '../../src/kernel/conntrack/connection.ts'
import { conntrackEntries, deleteConntrack } from '../../src/kernel/conntrack/text.ts'
import type { Namespace } from '../../src/kernel/namespace.ts'
import { formatIp } from '../../src/net/address.ts'
import { ipProtocol } from '../../src/net/protocol.ts'
import { must, readWords } from './words.ts'

const conntrackWords: Readonly<Record<string, string>> = {
  '--orig-src': 'source',
  '-s': 'source',
  '--orig-dst': 'destination',
  '-d': 'destination',
  '--sport': 'sport',
  '--orig-port-src': 'sport',
  '--dport': 'dport',
  '--orig-port-dst': 'dport',
  '--reply-src': 'replySource',
  '-r': 'replySource',
  '--reply-dst': 'replyDestination',
  '-q': 'replyDestination',
}
const protocols: Readonly<Record<string, number>> = ipProtocol

/** Runs the tool with these words. */
export function conntrack(ns: Namespace, words: readonly string[]): void {
  const { given, flags } = readWords(
    words,
    ['-p', '-f', ...natWords.keys(), ...Object.keys(conntrackWords)],
    ['-D', '-F'],
  )
  must(flags.has('-D') || flags.has('-F') ? true : undefined, `conntrack ${words.join(' ')}`)
  const filter: Record<string, string | number> = {}
  for (const [word, value] of given) {
    if (word === '-f' || natWords.has(word)) continue
    if (word === '-p') filter['protocol'] = must(protocols[value], value)
    else {
      const name = conntrackWords[word] ?? ''
      filter[name] = name.endsWith('port') ? Number(value) : value
    }
  }
  const translated = [...given].filter(([word]) => natWords.has(word))
  if (translated.length === 0) deleteConntrack(ns, filter)
  for (const flow of translated.length === 0 ? [] : conntrackEntries(ns)) {
    if (translated.every(([word, value]) => natWords.get(word)?.(flow) === value))
      deleteFlow(ns, flow, filter)
  }
}

/** Whose addresses were translated: the real destination, and the source that was put in its place. */
const natWords: ReadonlyMap<string, (flow: Connection) => string | undefined> = new Map([
  ['--dst-nat', realDestination],
  ['-g', realDestination],
  ['--src-nat', givenSource],
  ['-n', givenSource],
])

function realDestination({ status, reply }: Connection): string | undefined {
  return (status & connStatus.destinationNat) === 0 ? undefined : formatIp(reply.source)
}

function givenSource({ status, reply }: Connection): string | undefined {
  return (status & connStatus.sourceNat) === 0 ? undefined : formatIp(reply.destination)
}

/** Deletes one flow, if the rest of the filter fits as well. */
function deleteFlow(
  ns: Namespace,
  { original, reply }: Connection,
  filter: Record<string, string | number>,
): void {
  const exact: Record<string, string | number> = {
    protocol: original.protocol,
    source: formatIp(original.source),
    destination: formatIp(original.destination),
    sport: original.sport,
    dport: original.dport,
    replySource: formatIp(reply.source),
    replyDestination: formatIp(reply.destination),
  }
  if (Object.entries(filter).every(([name, value]) => exact[name] === value)) deleteConntrack(ns, exact)
}
