// Connections through virtual services (struct ip_vs_conn) and templates of persistent clients, found by the tuple of
// either direction. Nothing runs by timer: what is past its time is gone when somebody looks (ip_vs_conn_expire()).
import { type Nanoseconds, second } from '../clock.ts'
import { sameTuple, type Tuple, tupleHash } from '../conntrack/tuple.ts'
import type { IpvsForward, IpvsServer, IpvsService } from './service.ts'

export interface IpvsConnection {
  /** From the client to the virtual address, and from the server to the client. */
  readonly original: Tuple
  readonly reply: Tuple
  /** What answers look like here: `reply`, but from the virtual address where nothing is translated. */
  readonly answers: Tuple
  /** It belongs to a client that keeps its server (cp->control). */
  controlled: boolean
  /** What packets to the server, and to the client, get: the inverse of `reply` and of `original`. */
  readonly toServer: Tuple
  readonly toClient: Tuple
  readonly service: IpvsService
  readonly server: IpvsServer
  /** How it was sent when it began, whatever its server says by now. */
  readonly forward: IpvsForward
  /** IP_VS_CONN_F_NFCT: conntrack keeps the flow (`net.ipv4.vs.conntrack`). */
  readonly nfct: boolean
  /** IP_VS_CONN_F_NOOUTPUT: answers do not pass here, as far as is known. */
  noOutput: boolean
  /** Counted as `InActConn` of its server. */
  inactive: boolean
  state: number
  expires: Nanoseconds
}

/** The server of a client network (IP_VS_CONN_F_TEMPLATE). */
export interface IpvsTemplate {
  /** The masked client with port 0 to the virtual address, or to the mark of a service. */
  readonly tuple: Tuple
  readonly service: IpvsService
  readonly server: IpvsServer
  /** The port of the server; 0 for templates of all ports. */
  readonly port: number
  /** The connections it controls: it outlives them. */
  readonly controlled: Set<IpvsConnection>
  expires: Nanoseconds
}

/** A template that controls connections is looked at again after a minute. */
const later = 60 * second

/** All connections of a namespace. */
export interface ConnectionTable {
  readonly byOriginal: Map<number, IpvsConnection[]>
  readonly byReply: Map<number, IpvsConnection[]>
  readonly templates: Map<number, IpvsTemplate[]>
  /** In order of creation. */
  readonly all: Set<IpvsConnection>
  /** Before this time nothing expires. */
  sweepAt: Nanoseconds
}

/** An empty table. */
export function createConnectionTable(): ConnectionTable {
  return {
    byOriginal: new Map(),
    byReply: new Map(),
    templates: new Map(),
    all: new Set(),
    sweepAt: Number.POSITIVE_INFINITY,
  }
}

function push<T>(map: Map<number, T[]>, key: number, value: T): void {
  const chain = map.get(key)
  if (chain === undefined) map.set(key, [value])
  else chain.push(value)
}

function take<T>(map: Map<number, T[]>, key: number, value: T): void {
  const rest = (map.get(key) ?? []).filter((other) => other !== value)
  if (rest.length === 0) map.delete(key)
  else map.set(key, rest)
}

/** ip_vs_conn_in_get(): the connection of a packet from a client. */
export function connectionIn(
  table: ConnectionTable,
  tuple: Tuple,
  now: Nanoseconds,
): IpvsConnection | undefined {
  return table.byOriginal
    .get(tupleHash(tuple, 0))
    ?.find((each) => each.expires > now && sameTuple(each.original, tuple))
}

/** ip_vs_conn_out_get(): the connection of a packet from a server. */
export function connectionOut(
  table: ConnectionTable,
  tuple: Tuple,
  now: Nanoseconds,
): IpvsConnection | undefined {
  return table.byReply
    .get(tupleHash(tuple, 0))
    ?.find((each) => each.expires > now && sameTuple(each.answers, tuple))
}

/** ip_vs_conn_new(): the connection counts as inactive until its state says otherwise. */
export function insertConnection(table: ConnectionTable, connection: IpvsConnection): void {
  table.all.add(connection)
  push(table.byOriginal, tupleHash(connection.original, 0), connection)
  push(table.byReply, tupleHash(connection.answers, 0), connection)
  connection.server.inactive += 1
  table.sweepAt = Math.min(table.sweepAt, connection.expires)
}

/** ip_vs_conn_expire_now(). */
export function removeConnection(table: ConnectionTable, connection: IpvsConnection): void {
  table.all.delete(connection)
  take(table.byOriginal, tupleHash(connection.original, 0), connection)
  take(table.byReply, tupleHash(connection.answers, 0), connection)
  if (connection.inactive) connection.server.inactive -= 1
  else connection.server.active -= 1
}

/** Gives a connection its state and the time until which that is kept. */
export function keepConnection(table: ConnectionTable, connection: IpvsConnection, until: Nanoseconds): void {
  connection.expires = until
  table.sweepAt = Math.min(table.sweepAt, until)
}

/** ip_vs_conn_expire() of everything that is past its time. */
export function sweepConnections(table: ConnectionTable, now: Nanoseconds): void {
  if (now < table.sweepAt) return
  let next = Number.POSITIVE_INFINITY
  for (const connection of table.all) {
    if (connection.expires <= now) removeConnection(table, connection)
    else next = Math.min(next, connection.expires)
  }
  table.sweepAt = next
}

/** A template stays while it controls a connection, a minute at a time. */
function isKept(template: IpvsTemplate, now: Nanoseconds): boolean {
  while (template.expires <= now) {
    const { expires } = template
    const controls = [...template.controlled].some((connection) => connection.expires > expires)
    if (!controls) return false
    template.expires = expires + later
  }
  return true
}

/** ip_vs_ct_in_get(). */
export function findTemplate(
  table: ConnectionTable,
  tuple: Tuple,
  now: Nanoseconds,
): IpvsTemplate | undefined {
  const key = tupleHash(tuple, 0)
  const found = table.templates.get(key)?.find((each) => sameTuple(each.tuple, tuple))
  if (found === undefined || isKept(found, now)) return found
  take(table.templates, key, found)
  return undefined
}

/** Puts a template in the place of one that its client had before. */
export function insertTemplate(table: ConnectionTable, template: IpvsTemplate): void {
  const key = tupleHash(template.tuple, 0)
  const rest = (table.templates.get(key) ?? []).filter((each) => !sameTuple(each.tuple, template.tuple))
  table.templates.set(key, [template, ...rest])
}

/** Every template that is alive. */
export function listTemplates(table: ConnectionTable, now: Nanoseconds): IpvsTemplate[] {
  return [...table.templates.values()].flat().filter((template) => isKept(template, now))
}
