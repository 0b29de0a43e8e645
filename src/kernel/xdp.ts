// An XDP program on a device, and what its return codes mean.
import type { Program } from '../bpf/contract.ts'

/** `native` runs in the driver before there is an skb, `generic` on an skb, `offload` on the network card. */
export type XdpMode = 'native' | 'generic' | 'offload'

/** The one program of a device (dev_xdp_attach allows one, whatever the mode). */
export interface XdpAttachment {
  readonly program: Program
  readonly mode: XdpMode
}

/** include/uapi/linux/bpf.h enum xdp_action. */
export const xdpAct = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const

const actNames = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT']

/** The word of a return code (`PASS`), or its number where there is no word. */
export function xdpActName(code: number): string {
  return actNames[code] ?? String(code)
}
