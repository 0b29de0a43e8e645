// How long a round trip takes, and with it how long to wait for an answer: tcp_input.c tcp_rtt_estimator(). Before changing this
// file, read RFC 6298.
import { second } from '../clock.ts'
import { type TcpSocket, tcpTime } from './tcp-socket.ts'

/** tcp_rtt_estimator() and __tcp_set_rto() (RFC 6298): at least 200 ms above the smoothed round trip. */
export function sampleRoundTrip(socket: TcpSocket, sample: number): void {
  socket.minRtt = Math.min(socket.minRtt, sample)
  if (socket.srtt < 0) {
    socket.srtt = sample
    socket.rttvar = Math.max(sample * 2, tcpTime.rtoMin)
  } else {
    const error = Math.abs(sample - socket.srtt)
    socket.srtt += (sample - socket.srtt) / 8
    socket.rttvar = Math.max(socket.rttvar + (error - socket.rttvar) / 4, tcpTime.rtoMin)
  }
  socket.rto = Math.min(Math.max(socket.srtt + socket.rttvar, tcpTime.rtoMin), 120 * second)
}
