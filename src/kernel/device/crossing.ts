// What a packet loses on its way to another device: skb_scrub_packet() of net/core/skbuff.c.
import { pktType, type Skb } from '../skb.ts'

/** Within one namespace: the route, the flow and the arrival device are forgotten, the mark stays (facts: linux 1.11). */
export function scrub(skb: Skb): void {
  skb.pktType = pktType.host
  skb.ingressIfindex = 0
  skb.route = undefined
  skb.tunnelKey = undefined
  skb.fragmentMax = 0
  skb.ignoreDf = false
  skb.summedHeader = -1
  skb.nfct = undefined
  skb.nfctInfo = 0
  skb.bridged = undefined
  skb.securityPath = undefined
}

/** skb_clear_tstamp(): a time of arrival goes, a departure time on a clock of its own stays (tried on 6.18 with TCP). */
export function clearTstamp(skb: Skb): void {
  if (skb.tstampType === 0) skb.tstamp = 0
}

/** Into another namespace: the mark goes too, and a time that is not marked as a departure. The owning socket stays (facts: linux 13), and
 * so do the words of cb (tried on 6.18). */
export function leaveNamespace(skb: Skb): void {
  scrub(skb)
  skb.ipvs = false
  skb.mark = 0
  clearTstamp(skb)
  skb.priority = 0
  skb.metaBytes = 0
}
