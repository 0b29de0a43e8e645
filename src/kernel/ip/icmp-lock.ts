// While the kernel sends an ICMP message it sends no other one: icmp_xmit_lock(), icmpv6_xmit_lock(). The socket of the CPU is
// taken, so an error about the message itself (a rule of OUTPUT that rejects it) is given up without a word.
import type { Namespace } from '../namespace.ts'

/** Whether an ICMP message of the family is on its way out at this moment, from whatever namespace. */
export function icmpIsSending({ machine }: Namespace, family: 4 | 6): boolean {
  return machine.icmpSending[family]
}

/** Hands an ICMP message to `send`; what that answers. */
export function sendingIcmp({ machine }: Namespace, family: 4 | 6, send: () => number): number {
  machine.clock.disableBottomHalves()
  machine.icmpSending[family] = true
  const sent = send()
  machine.icmpSending[family] = false
  machine.clock.enableBottomHalves()
  return sent
}
