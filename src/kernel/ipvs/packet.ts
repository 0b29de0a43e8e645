// What every function of IPVS asks of a packet at a hook, and what a trace says of it.
import { formatIp } from '../../net/address.ts'
import type { Fact } from '../../trace/event.ts'
import type { Nanoseconds } from '../clock.ts'
import type { Tuple } from '../conntrack/tuple.ts'
import { endPacket } from '../drop.ts'
import type { Namespace } from '../namespace.ts'
import type { HookVerdict } from '../netfilter/hook.ts'
import type { Skb } from '../skb.ts'
import type { IpvsConnection } from './connection.ts'
import type { Ipvs, IpvsService } from './service.ts'

export type IpvsHook = 'INPUT' | 'FORWARD' | 'OUTPUT'

export interface IpvsPacket {
  readonly ns: Namespace
  readonly ipvs: Ipvs
  readonly skb: Skb
  readonly hook: IpvsHook
  /** Offset of the transport header. */
  readonly l4: number
  readonly tuple: Tuple
  readonly now: Nanoseconds
}

/** `tcp 10.96.0.10:80` or `fwmark 1`. */
export function serviceName({ virtual }: IpvsService): string {
  if (virtual.kind === 'fwmark') return `fwmark ${virtual.mark}`
  const { protocol, address, port } = virtual
  return `${protocol === 6 ? 'tcp' : 'udp'} ${formatIp(address)}:${port}`
}

/** What IPVS did: `tcp 10.96.0.10:80 rr -> 10.0.1.10:8080 masq`, and backwards with `<-`. */
export function connectionFact(connection: IpvsConnection, arrow: '->' | '<-'): Fact {
  const { service, forward } = connection
  const { source, sport } = connection.reply
  const text = `${serviceName(service)} ${service.scheduler} ${arrow} ${formatIp(source)}:${sport} ${forward}`
  return { kind: 'kernel', word: 'ipvs', text }
}

/** Writes the event of a hook that changed, took or ended the packet. */
export function noteIpvs(packet: IpvsPacket, verdict: HookVerdict, facts: readonly Fact[]): void {
  const { ns, skb, hook } = packet
  const site = { node: ns.name, device: '', stage: 'nf', chain: `ipvs/${hook}` } as const
  const code = verdict === 'accept' ? 'ACCEPT' : verdict === 'drop' ? 'DROP' : 'STOLEN'
  ns.machine.trace?.note(skb, site, { actor: 'kernel', decision: { code }, facts })
}

const reasons = {
  drop: 'SKB_DROP_REASON_NETFILTER_DROP',
  stolen: 'SKB_DROP_REASON_NOT_SPECIFIED',
} as const

/** The packet ends here: NF_DROP (`drop`), or freed by IPVS itself (`stolen`). */
export function endIpvs(packet: IpvsPacket, verdict: 'drop' | 'stolen', why: string): HookVerdict {
  const { ns, skb, hook } = packet
  const reason = reasons[verdict]
  const site = { node: ns.name, device: '', stage: 'nf' } as const
  ns.machine.trace?.note(
    skb,
    { ...site, chain: `ipvs/${hook}` },
    {
      actor: 'kernel',
      decision: { code: 'DROP' },
      facts: [
        { kind: 'kernel', word: 'ipvs', text: why },
        { kind: 'drop', reason },
      ],
    },
  )
  endPacket(skb, { ...site, kind: 'dropped', reason })
  return verdict
}
