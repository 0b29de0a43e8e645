// The socket of the client of a UDP flow, as its step describes it.
import { unspecified } from '../boot/listeners.ts'
import { namespaceOf } from '../boot/resolved.ts'
import { failed } from '../kernel/socket/errno.ts'
import { udpBind, udpClose, udpOpen } from '../kernel/socket/udp.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import type { FlowStep } from '../model/step.ts'
import { isIpv4 } from '../net/address.ts'
import { socketOptions } from './conversation.ts'
import type { Run } from './run-state.ts'

/** Opens it, and binds it where the step names an address or a port. `note` is told of a call that failed; then undefined. */
export function openUdpClient(
  run: Run,
  step: FlowStep,
  note: (call: string, answer: object) => void,
): UdpSocket | undefined {
  const { from, to, label } = step
  const family = isIpv4(to.address) ? 4 : 6
  const opened = udpOpen({
    ns: namespaceOf(run.machine, from.namespace),
    family,
    label,
    options: socketOptions(step),
  })
  if (failed(opened)) {
    note('bind', opened)
    return undefined
  }
  if (from.port !== undefined || from.address !== undefined) {
    const bound = udpBind(opened.ok, { address: from.address ?? unspecified[family], port: from.port ?? 0 })
    note('bind', bound)
    if (failed(bound)) {
      udpClose(opened.ok)
      return undefined
    }
  }
  return opened.ok
}
