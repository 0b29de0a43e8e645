// The longest prefix of an ipcache, for tests.
import type { IpAddress } from '../../net/address.ts'
import { covers } from '../../net/prefix.ts'
import type { AgentState } from './agent.ts'

/** The identity of an address as the datapath of a node finds it. */
export function addressIdentity({ ipcache }: AgentState, address: IpAddress): number {
  let best = { length: -1, identity: 0 }
  for (const { prefix, identity } of ipcache) {
    if (prefix.length > best.length && covers(prefix, address)) best = { length: prefix.length, identity }
  }
  return best.identity
}
