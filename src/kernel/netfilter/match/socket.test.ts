import { expect, test } from 'vitest'
import { ipLab } from '../../../../test/ip-lab.ts'
import { parseIp } from '../../../net/address.ts'
import { tcpBind, tcpConnect, tcpListen, tcpOpen } from '../../socket/tcp.ts'
import { attachIptables } from '../iptables.ts'
import { parseRuleset } from '../parse.ts'

const address = (text: string) => {
  const found = parseIp(text)
  if (found === undefined) throw new Error(text)
  return found
}

// The real kernel (6.18) counts the same: SYN-ACK and what follows.
test('a reply to a masqueraded connection of a transparent socket is known before NAT has changed it', () => {
  const lab = ipLab()
  const rules = `*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m socket --transparent
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.8.0.0/16 -j MASQUERADE
COMMIT
`
  const parsed = parseRuleset(rules, 4)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  attachIptables(lab.r, 4, parsed.ruleset)
  const server = tcpOpen({ ns: lab.b, family: 4, label: 'server' })
  const client = tcpOpen({ ns: lab.r, family: 4, label: 'f1', options: { transparent: true } })
  if (!('ok' in server) || !('ok' in client)) throw new Error('no socket')
  tcpBind(server.ok, { address: address('10.0.2.2'), port: 80 })
  tcpListen(server.ok)
  tcpBind(client.ok, { address: address('10.8.0.5'), port: 4000 })
  expect(tcpConnect(client.ok, { address: address('10.0.2.2'), port: 80 })).toEqual({ ok: true })
  lab.machine.clock.drain()
  const chain = lab.r.netfilter.tables?.[4].get('mangle')?.chains.get('PREROUTING')
  expect(chain?.rules[0]?.counters.packets).toBeGreaterThan(0)
})
