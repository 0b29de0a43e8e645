// The agent's DNS proxy on a node: queries of pods that policies redirect to it are answered with REFUSED or passed on, and what
// name servers answer makes identities before the pod sees it. pkg/fqdn/dnsproxy/proxy.go ServeDNS(), udp.go,
// pkg/fqdn/messagehandler. UDP only; answers are kept for as long as the scenario lasts.
import { assert } from '../../base/assert.ts'
import { cancel, second } from '../../kernel/clock.ts'
import { failed } from '../../kernel/socket/errno.ts'
import type { SocketAddress } from '../../kernel/socket/hooks.ts'
import { sendRawUdp } from '../../kernel/socket/raw-udp.ts'
import { udpBind, udpClose, udpConnect, udpOpen, udpSend } from '../../kernel/socket/udp.ts'
import { udpReceive } from '../../kernel/socket/udp-read.ts'
import type { Datagram, UdpSocket } from '../../kernel/socket/udp-socket.ts'
import { formatIp, isIpv4 } from '../../net/address.ts'
import { type DnsMessage, dnsAnswer, dnsCode, readDns, writeDns } from '../../net/dns.ts'
import { ipProtocol } from '../../net/protocol.ts'
import type { Decision, Fact } from '../../trace/event.ts'
import type { Endpoint } from '../agent/endpoint.ts'
import { localScope, reservedIdentity } from '../agent/identity.ts'
import { identityMark, mark } from '../datapath/mark.ts'
import { isSix, type LogDns, type LogRecord, logEndpoint, logEnds } from './access-log.ts'
import type { ProxyBinding } from './dialect.ts'
import { allowQuery } from './dns-policy.ts'
import { endpointAt, ipcacheIdentity, notice, type ProxyNode, redirectsOf } from './proxy-node.ts'

const program = 'cilium-agent'
/** ProxyForwardTimeout. */
const forwardTime = 10 * second

/** A query with who asks whom. */
interface Question {
  readonly query: DnsMessage
  readonly datagram: Datagram
  readonly client: SocketAddress
  readonly server: SocketAddress
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

  constructor(node: ProxyNode, options: DnsProxyOptions) {
    this.#node = node
    this.#options = options
  }

  listen({ family, address }: ProxyBinding): void {
    const { ns } = this.#node
    const { port, bpfTproxy } = this.#options
    const options = { mark: mark.PROXY_EGRESS, transparent: true, reuseAddr: true, reusePort: !bpfTproxy }
    const opened = udpOpen({ ns, family, label: `${ns.name}-proxy-${port}`, options, program })
    assert(!failed(opened), `${ns.name} opens the socket of its DNS proxy`)
    const socket = opened.ok
    assert(!failed(udpBind(socket, { address, port })), `${ns.name} binds its DNS proxy`)
    socket.watchers.push(() => ns.machine.clock.atRest(() => this.#work(socket)))
  }

  #work(socket: UdpSocket): void {
    for (;;) {
      const got = udpReceive(socket)
      if (failed(got)) return
      const query = readDns(got.ok.data)
      if (query !== undefined && !query.isResponse) this.#serve(query, got.ok)
    }
  }

  /** ServeDNS() */
  #serve(query: DnsMessage, datagram: Datagram): void {
    const { source, sourcePort, destination, destinationPort } = datagram
    const client = { address: source, port: sourcePort }
    const server = { address: destination, port: destinationPort }
    const endpoint = endpointAt(this.#node, source)
    if (endpoint === undefined) {
      this.#reply({ datagram, client, server }, this.#error(query, this.#failure), datagram)
      return
    }
    const { port } = this.#options
    const found = ipcacheIdentity(this.#node, destination)
    const serverIdentity = found === 0 ? reservedIdentity.world : found
    const question: Question = { query, datagram, client, server, endpoint, serverIdentity }
    const at = { ingress: false, port: server.port, protocol: ipProtocol.udp, proxyPort: port }
    const allowed = allowQuery(redirectsOf(this.#node, endpoint, at), serverIdentity, query.name)
    const decision: Decision = allowed ? { code: 'FORWARD' } : { code: 'DENY', target: 'REFUSED' }
    this.#notice(datagram, decision, this.#logged(question, allowed ? 'Forwarded' : 'Denied'))
    if (allowed) this.#forward(question)
    else this.#reply(question, this.#error(query, dnsCode.REFUSED), datagram)
  }

  /** sendErrorResponse(); in 1.10 everything is refused. */
  get #failure(): number {
    return this.#node.dialect.plainDnsClient ? dnsCode.REFUSED : dnsCode.SERVFAIL
  }

  #error(query: DnsMessage, code: number): DnsMessage {
    return { ...dnsAnswer(query, code, []), recursionAvailable: false }
  }

  #notice({ packet }: Datagram, decision: Decision, logged: LogRecord, facts: readonly Fact[] = []): void {
    notice(this.#node, packet, { port: this.#options.port, program, decision, logged: [logged], facts })
  }

  /** setSoMarks(), and the pod's own address where the server is one of the cluster. 1.10 asks as any program of the host. */
  #open({ client, server, endpoint, serverIdentity, datagram }: Question): UdpSocket | undefined {
    const { transparent, bpfTproxy } = this.#options
    const plain = this.#node.dialect.plainDnsClient
    const inCluster = isCluster(serverIdentity) && serverIdentity !== reservedIdentity.host
    const keeps = transparent && !plain && inCluster
    const shared = keeps ? { transparent: true, reuseAddr: true, reusePort: !bpfTproxy } : {}
    const marked = plain ? {} : { mark: identityMark(endpoint.identity.id, mark.PROXY_EGRESS) }
    const options = { ...marked, ...shared }
    const family = isIpv4(server.address) ? 4 : 6
    const label = `${datagram.flow}.upstream`
    const opened = udpOpen({ ns: this.#node.ns, family, label, options, program })
    if (failed(opened)) return undefined
    const socket = opened.ok
    const bound = !keeps || !failed(udpBind(socket, client))
    if (bound && !failed(udpConnect(socket, server))) return socket
    udpClose(socket)
    return undefined
  }

  #forward(question: Question): void {
    const { datagram } = question
    const socket = this.#open(question)
    const query = this.#asked(question, socket?.localPort ?? 0)
    if (socket === undefined) {
      this.#reply(question, this.#error(query, this.#failure), datagram)
      return
    }
    const { clock } = this.#node.ns.machine
    const timer = clock.after(forwardTime, () => udpClose(socket))
    const read = (): void => {
      if (socket.closed) return
      const got = udpReceive(socket)
      const response = failed(got) ? undefined : readDns(got.ok.data)
      if (failed(got) ? got.errno === 'EAGAIN' : response?.id !== query.id) return
      cancel(timer)
      udpClose(socket)
      if (failed(got) || response === undefined)
        this.#reply(question, this.#error(query, this.#failure), datagram)
      else this.#answered(question, { ...response, id: question.query.id }, got.ok)
    }
    socket.watchers.push(() => clock.atRest(read))
    const name = `${socket.label}.request`
    const cause = datagram.packet?.record?.name ?? ''
    udpSend(socket, writeDns(query), { name, cause, label: socket.label })
  }

  /** The query as the server gets it: 1.10 gives each one a number of its own (dns.Id()). */
  #asked({ query }: Question, port: number): DnsMessage {
    const { dialect, ns } = this.#node
    return dialect.plainDnsClient ? { ...query, id: ns.machine.random('dns-id', port) & 0xffff } : query
  }

  /** The answer of the server: what it says is known to the node before the pod is. */
  #answered(question: Question, response: DnsMessage, from: Datagram): void {
    const addresses = response.answers.flatMap(({ address }) => (address === undefined ? [] : [address]))
    const learns = response.code === dnsCode.NOERROR && addresses.length > 0
    const facts = learns ? this.#node.learn(response.name, addresses) : []
    this.#notice(from, { code: 'FORWARD' }, this.#logged(question, 'Forwarded', response), facts)
    this.#reply(question, response, from)
  }

  /** WriteResponse(): by a raw socket, from the server's address. */
  #reply(
    { datagram, client, server }: Pick<Question, 'datagram' | 'client' | 'server'>,
    message: DnsMessage,
    { packet }: Datagram,
  ): void {
    sendRawUdp(this.#node.ns, {
      from: server,
      to: client,
      mark: mark.PROXY_EGRESS,
      // 1.10 leaves it out over IPv6, too, where no receiver takes that
      checksum: !isIpv4(client.address) && !this.#node.dialect.plainDnsClient,
      data: writeDns(message),
      name: `${datagram.flow}.response`,
      cause: packet?.record?.name ?? '',
      flow: datagram.flow,
    })
  }

  #logged(
    { query, client, server, endpoint, serverIdentity }: Question,
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
      protocol: ipProtocol.udp,
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
