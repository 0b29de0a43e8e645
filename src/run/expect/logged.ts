// What the proxies of nodes logged when they had read a packet.
import { type LogRecord, readLogRecord } from '../../cilium/proxy/access-log.ts'
import type { HookEvent, PacketTrace, Trace } from '../../trace/event.ts'

/** A record of the access log and the event of the proxy that wrote it. */
export interface Logged {
  readonly event: HookEvent
  readonly record: LogRecord
}

/** The records about a packet, in order. */
export function loggedOf(packet: PacketTrace): readonly Logged[] {
  return packet.events
    .filter(({ stage }) => stage === 'proxy')
    .flatMap((event) =>
      event.facts.flatMap((fact) => {
        const record = fact.kind === 'record' ? readLogRecord(fact.bytes) : undefined
        return record === undefined ? [] : [{ event, record }]
      }),
    )
}

/** Labels of cilium_policy_l7_total. */
interface L7Labels {
  /** `received`, `forwarded`, `denied`, `parse_errors`. */
  readonly rule?: string
  /** `envoy`, `fqdn`. */
  readonly proxy_type?: string
}

const rules = { Forwarded: 'forwarded', Denied: 'denied', Error: 'parse_errors' } as const

/**
 * cilium_policy_l7_total of a node (pkg/endpoint UpdateProxyStatistics): every record counts as received, and by its verdict.
 * Without the label `rule` both are summed up.
 */
export function policyL7(trace: Trace, node: string, { rule, proxy_type: proxy }: L7Labels): number {
  let sum = 0
  for (const { event, record } of trace.packets.flatMap(loggedOf)) {
    if (event.node !== node || (proxy !== undefined && record.proxy !== proxy)) continue
    for (const name of ['received', rules[record.verdict]]) if (rule === undefined || rule === name) sum += 1
  }
  return sum
}
