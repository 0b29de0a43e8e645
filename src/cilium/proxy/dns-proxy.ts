// The agent's DNS proxy on a node: queries of pods that policies redirect to it are answered with REFUSED or passed on, and what
// name servers answer makes identities before the pod sees it. pkg/fqdn/dnsproxy/proxy.go ServeDNS(), pkg/fqdn/messagehandler.
import { assert } from '../../base/assert.ts'
import type { Skb } from '../../kernel/skb.ts'
import { failed } from '../../kernel/socket/errno.ts'
import { serveTcp } from '../../kernel/socket/program.ts'
import type { TcpSocket } from '../../kernel/socket/tcp-socket.ts'
import { udpBind, udpOpen } from '../../kernel/socket/udp.ts'
import { udpReceive } from '../../kernel/socket/udp-read.ts'
import type { UdpSocket } from '../../kernel/socket/udp-socket.ts'
import { formatIp } from '../../net/address.ts'
import { type DnsMessage, dnsAnswer, dnsCode, readDns } from '../../net/dns.ts'
import type { Decision, Fact } from '../../trace/event.ts'
import type { Endpoint } from '../agent/endpoint.ts'
import { localScope, reservedIdentity } from '../agent/identity.ts'
import { plainName } from '../agent/policy/fqdn.ts'
import { identityMark, mark } from '../datapath/mark.ts'
import { isSix, type LogDns, type LogRecord, logEndpoint, logEnds } from './access-log.ts'
import type { ProxyBinding } from './dialect.ts'
import { DnsClients, type DnsOutcome } from './dns-client.ts'
import { allowQuery } from './dns-policy.ts'
import { type DnsSession, datagramSession, StreamSessions } from './dns-session.ts'
import {
  endpointAt,
  identityAt,
  listenAt,
  notice,
  type ProxyNode,
  packetName,
  redirectsOf,
} from './proxy-node.ts'

const program = 'cilium-agent'

/** A query with who asks whom. */
interface Question {
  readonly query: DnsMessage
  readonly session: DnsSession
  readonly endpoint: Endpoint
  readonly serverIdentity: number
}

export interface DnsProxyOptions {
  readonly port: number
  /** dnsproxy-enable-transparent-mode: queries go on from the pod's own address. */
  readonly transparent: boolean
  /** enable-bpf-tproxy: sockets do not share ports. */
  readonly bpfTproxy: boolean
}

/** identity.NumericIdentity.IsCluster(): neither the world nor an address outside. */
function isCluster(identity: number): boolean {
  const { world, 'world-ipv4': four, 'world-ipv6': six } = reservedIdentity
  return identity !== world && identity !== four && identity !== six && identity < localScope
}

class DnsProxy {
  readonly #node: ProxyNode
  readonly #options: DnsProxyOptions
  readonly #clients: DnsClients

  constructor(node: ProxyNode, options: DnsProxyOptions) {
    this.#node = node
    this.#options = options
    this.#clients = new DnsClients(node)
  }

  /** A socket for datagrams and one for connections. */
  listen(binding: ProxyBinding): void {
    this.#listenForDatagrams(binding)
    this.#listenForConnections(binding)
  }

  #open({ family }: ProxyBinding) {
    const { ns } = this.#node
    const { port, bpfTproxy } = this.#options
    const shared = { reuseAddr: true, reusePort: !bpfTproxy }
    // Go's connections do not wait
    const options = { mark: mark.PROXY_EGRESS, transparent: true, noDelay: true, ...shared }
    return { ns, family, label: `${ns.name}-proxy-${port}`, options, program } as const
  }

  #listenForDatagrams(binding: ProxyBinding): void {
    const { ns } = this.#node
    const opened = udpOpen(this.#open(binding))
    assert(!failed(opened), `${ns.name} opens the socket of its DNS proxy`)
    const socket = opened.ok
    const bound = udpBind(socket, { address: binding.address, port: this.#options.port })
    assert(!failed(bound), `${ns.name} binds its DNS proxy`)
    socket.watchers.push(() => ns.machine.clock.atRest(() => this.#work(socket)))
  }

  #listenForConnections(binding: ProxyBinding): void {
    const { port } = this.#options
    const connections = new WeakMap<TcpSocket, StreamSessions>()
    const serve = (session: DnsSession, query: DnsMessage): void => this.#serve(session, query)
    serveTcp(listenAt(this.#open(binding), { address: binding.address, port }), {
      accepted: (socket) => connections.set(socket, new StreamSessions(socket, serve)),
      received: (socket, data) => {
        connections.get(socket)?.received(data)
        return undefined
      },
      ended: (socket) => {
        connections.get(socket)?.ended()
        return 'close'
      },
    })
  }

  #work(socket: UdpSocket): void {
    for (;;) {
      const got = udpReceive(socket)
      if (failed(got)) return
      const query = readDns(got.ok.data)
      if (query !== undefined && !query.isResponse) this.#serve(datagramSession(this.#node, got.ok), query)
    }
  }

  /** ServeDNS() */
  #serve(session: DnsSession, query: DnsMessage): void {
    const { client, server, packet, protocol } = session
    const endpoint = endpointAt(this.#node, client.address)
    if (endpoint === undefined) {
      session.reply(this.#error(query, this.#failure), packetName(packet))
      return
    }
    const { port } = this.#options
    const serverIdentity = identityAt(this.#node, server.address)
    const question: Question = { query, session, endpoint, serverIdentity }
    const at = { ingress: false, port: server.port, protocol, proxyPort: port }
    const allowed = allowQuery(redirectsOf(this.#node, endpoint, at), serverIdentity, query.name)
    const decision: Decision = allowed ? { code: 'FORWARD' } : { code: 'DENY', target: 'REFUSED' }
    this.#notice(packet, decision, this.#logged(question, allowed ? 'Forwarded' : 'Denied'))
    if (allowed) this.#forward(question)
    else session.reply(this.#error(query, dnsCode.REFUSED), packetName(packet))
  }

  /** sendErrorResponse(); in 1.10 everything is refused. */
  get #failure(): number {
    return this.#node.dialect.plainDnsClient ? dnsCode.REFUSED : dnsCode.SERVFAIL
  }

  #error(query: DnsMessage, code: number): DnsMessage {
    return { ...dnsAnswer(query, code, []), recursionAvailable: false }
  }

  #notice(packet: Skb | undefined, decision: Decision, logged: LogRecord, facts: readonly Fact[] = []): void {
    notice(this.#node, packet, { port: this.#options.port, program, decision, logged: [logged], facts })
  }

  /** setSoMarks(), and the pod's own address where the server is one of the cluster. 1.10 asks as any program of the host. */
  #forward(question: Question): void {
    const { session, query, endpoint, serverIdentity } = question
    const { transparent, bpfTproxy } = this.#options
    const plain = this.#node.dialect.plainDnsClient
    const inCluster = isCluster(serverIdentity) && serverIdentity !== reservedIdentity.host
    const magic = plain ? 0 : identityMark(endpoint.identity.id, mark.PROXY_EGRESS)
    const ask = { session, query, mark: magic, keeps: transparent && !plain && inCluster, bpfTproxy, program }
    const done = (outcome: DnsOutcome): void => this.#answered(question, outcome)
    this.#clients.ask(ask, (port) => this.#asked(query, port), done)
  }

  /** The query as the server gets it: 1.10 gives each one a number of its own (dns.Id()). */
  #asked(query: DnsMessage, port: number): DnsMessage {
    const { dialect, ns } = this.#node
    return dialect.plainDnsClient ? { ...query, id: ns.machine.random('dns-id', port) & 0xffff } : query
  }

  /** The answer of the server: what it says is known to the node before the pod is. Without one the pod asks again. */
  #answered(question: Question, outcome: DnsOutcome): void {
    const { session, query } = question
    if (outcome === 'timeout') return
    if (outcome === 'failed') {
      const decision: Decision = {
        code: 'ANSWER',
        target: this.#failure === dnsCode.REFUSED ? 'REFUSED' : 'SERVFAIL',
      }
      this.#notice(session.packet, decision, this.#logged(question, 'Error'))
      session.reply(this.#error(query, this.#failure), packetName(session.packet))
      return
    }
    const { packet } = outcome
    const response = { ...outcome.response, id: query.id }
    const facts = this.#learns(question.endpoint, response)
    this.#notice(packet, { code: 'FORWARD' }, this.#logged(question, 'Forwarded', response), facts)
    session.reply(response, packetName(packet))
  }

  #learns({ id: endpoint }: Endpoint, { code, name, answers }: DnsMessage): readonly Fact[] {
    const addresses = answers.flatMap(({ address }) => (address === undefined ? [] : [address]))
    const learns = code === dnsCode.NOERROR && addresses.length > 0
    const ttl = Math.min(...answers.map((each) => each.ttl))
    return learns ? this.#node.learn({ endpoint, name: plainName(name), addresses, ttl }) : []
  }

  #logged(
    { query, session: { client, server, protocol }, endpoint, serverIdentity }: Question,
    verdict: LogRecord['verdict'],
    response?: DnsMessage,
  ): LogRecord {
    const type = response === undefined ? 'Request' : 'Response'
    const answers = response?.answers ?? []
    const dns: LogDns = {
      query: `${query.name.toLowerCase()}.`,
      ips: answers.flatMap(({ address }) => (address === undefined ? [] : [formatIp(address)])),
      // without an answer it is the largest that fits
      ttl: response === undefined ? 0 : Math.min(0xffff_ffff, ...answers.map(({ ttl }) => ttl)),
      cnames: answers.flatMap(({ target }) => (target === undefined ? [] : [`${target}.`])),
      rcode: response?.code ?? 0,
      qtypes: [query.type],
      answerTypes: answers.map(({ type: each }) => each),
    }
    return {
      type,
      point: 'Egress',
      verdict,
      proxy: 'fqdn',
      isIpv6: isSix(client.address),
      protocol,
      ...logEnds(
        type,
        logEndpoint(endpoint.id, client, endpoint.identity.id),
        logEndpoint(endpointAt(this.#node, server.address)?.id ?? 0, server, serverIdentity),
      ),
      dns,
    }
  }
}

/** Starts the DNS proxy of a node. */
export function startDnsProxy(node: ProxyNode, options: DnsProxyOptions, families: readonly (4 | 6)[]): void {
  const proxy = new DnsProxy(node, options)
  for (const binding of node.dialect.bindings(families)) proxy.listen(binding)
}
