// What the agent's rules of iptables are put together from: marks, comments, devices.
import type { AgentConfig } from '../config.ts'
import type { TablePlan } from './plan.ts'
import { hostDevice } from './routes.ts'

type Table = TablePlan['table']
/** A rule and its table. */
export type Rule = readonly [Table, string]

/** A mark as the rules write it: six digits at least. */
export const hex = (value: number): string => `0x${value.toString(16).padStart(6, '0')}`
/** A mark with its mask; without another the mask of Cilium's own marks. */
export const marked = (mark: number, mask = 0xf00): string => `${hex(mark)}/${hex(mask)}`

/** pkg/datapath/linux/linux_defaults MagicMark*, under the masks that rules look at. */
export const mark = {
  toProxy: 0x200,
  overlay: 0x400,
  skipTproxy: 0x800,
  epid: 0x800,
  proxy: 0xa00,
  egress: 0xb00,
  host: 0xc00,
  decrypt: 0xd00,
  encrypt: 0xe00,
  identity: 0xf00,
} as const
/** MagicMarkProxyMask: both ways of the proxy. */
export const proxyMask = 0xe00

export const comment = (text: string): string => `-m comment --comment "${text}"`
export const notrack = '-j CT --notrack'

/** getDeliveryInterface: where packets for pods leave the stack. */
export function deliveryDevice({ endpointRoutes }: AgentConfig): string {
  return endpointRoutes ? 'lxc+' : hostDevice
}
