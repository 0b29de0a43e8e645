// `nstat [-z]`: the SNMP counters in the order of /proc/net/snmp, snmp6 and netstat. Without `-z` zeros are left out.
import type { Namespace } from '../namespace.ts'

/** The groups in order; inside a group the listed names come first, then what else was counted, by name. */
const groups: readonly { readonly prefix: string; readonly names: readonly string[] }[] = [
  {
    prefix: 'Ip',
    names:
      'InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits'.split(
        ' ',
      ),
  },
  {
    prefix: 'Icmp',
    names:
      'InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps'.split(
        ' ',
      ),
  },
  { prefix: 'IcmpMsg', names: [] },
  {
    prefix: 'Tcp',
    names:
      'ActiveOpens PassiveOpens AttemptFails EstabResets InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors'.split(
        ' ',
      ),
  },
  {
    prefix: 'Udp',
    names:
      'InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors'.split(
        ' ',
      ),
  },
  {
    prefix: 'Ip6',
    names:
      'InReceives InHdrErrors InTooBigErrors InNoRoutes InAddrErrors InUnknownProtos InTruncatedPkts InDiscards InDelivers OutForwDatagrams OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates InMcastPkts OutMcastPkts'.split(
        ' ',
      ),
  },
  {
    prefix: 'Icmp6',
    names: ['InMsgs', 'InErrors', 'OutMsgs', 'OutErrors', 'InCsumErrors', 'OutRateLimitHost'],
  },
  { prefix: 'Udp6', names: [] },
  { prefix: 'TcpExt', names: [] },
  {
    prefix: 'IpExt',
    names:
      'InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors ReasmOverlaps'.split(
        ' ',
      ),
  },
]

/** The group of a counter: the longest prefix that fits. */
function groupOf(name: string): number {
  let best = -1
  for (const [index, { prefix }] of groups.entries()) {
    if (name.startsWith(prefix) && prefix.length > (groups[best]?.prefix.length ?? 0)) best = index
  }
  return best
}

/** `nstat -a`: `IpInReceives                    4                  0.0`. */
export function showCounters(ns: Namespace, options: { readonly zeros: boolean }): string {
  const lines = ['#kernel']
  const others = [...ns.counters.keys()].sort()
  for (const [index, { prefix, names }] of groups.entries()) {
    const listed = names.map((name) => prefix + name)
    const rest = others.filter((name) => groupOf(name) === index && !listed.includes(name))
    for (const name of [...listed, ...rest]) {
      const value = ns.counters.get(name) ?? 0
      if (value !== 0 || options.zeros)
        lines.push(`${name.padEnd(32)}${`${value}`.padEnd(16)}${'0.0'.padStart(6)}`)
    }
  }
  return lines.map((line) => `${line}\n`).join('')
}
