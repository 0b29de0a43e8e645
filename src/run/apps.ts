// What the programs behind `listen` do by themselves: `echo` sends back what arrives, `discard` reads and forgets.
import { failed } from '../kernel/socket/errno.ts'
import { tcpAccept, tcpReceive, tcpSend } from '../kernel/socket/tcp.ts'
import type { TcpSocket } from '../kernel/socket/tcp-socket.ts'
import { udpReceive, udpSend } from '../kernel/socket/udp.ts'
import type { UdpSocket } from '../kernel/socket/udp-socket.ts'
import type { Run } from './run-state.ts'

/** At most so many rounds of answers after one step: two echo programs may not talk for ever. */
const roundsMax = 64

/** Lets every program answer until nothing more arrives. */
export function answerFlows(run: Run): void {
  for (let round = 0; round < roundsMax; round += 1) {
    let busy = false
    for (const listener of run.listeners) {
      if (listener.app !== 'echo' && listener.app !== 'discard') continue
      const echo = listener.app === 'echo'
      if (listener.kind === 'udp' ? answerUdp(listener.socket, echo) : answerTcp(run, listener.socket, echo))
        busy = true
    }
    if (!busy) return
    run.settle()
  }
}

function answerUdp(socket: UdpSocket, echo: boolean): boolean {
  const got = udpReceive(socket, { withSource: true })
  if (failed(got)) return false
  const { source, sourcePort, data, flow } = got.ok
  if (echo)
    udpSend(socket, data, {
      to: { address: source, port: sourcePort },
      ...(flow === '' ? {} : { name: `${flow}.rdata1` }),
    })
  return true
}

function answerTcp(run: Run, listener: TcpSocket, echo: boolean): boolean {
  const accepted = tcpAccept(listener)
  if (!failed(accepted)) run.serving.add(accepted.ok)
  let busy = !failed(accepted)
  for (const socket of run.serving) {
    const got = tcpReceive(socket)
    if (failed(got) || got.ok.length === 0) continue
    busy = true
    if (echo) tcpSend(socket, got.ok)
  }
  return busy
}
