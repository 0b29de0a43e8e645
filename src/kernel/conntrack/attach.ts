// A packet that this host makes because of another belongs to the other one's flow: nf_ct_attach(). ICMP errors and resets
// carry it through OUTPUT, so that NAT can turn them back (facts: linux 9.2).
import { connInfo, directionOf, type Tracked } from './connection.ts'

/** The answer goes the other way: RELATED, in the direction that the packet did not have. */
export function attachFlow(answer: Tracked, packet: Readonly<Tracked>): void {
  if (packet.nfct === undefined || packet.nfct.template) return
  answer.nfct = packet.nfct
  answer.nfctInfo = directionOf(packet.nfctInfo) === 0 ? connInfo.relatedReply : connInfo.related
}
