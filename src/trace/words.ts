// What the words of a trace mean: `scn explain ttl`. Enters: a word; leaves: a paragraph and where it comes from.
// Drop reasons and diagnostics have their own pages; here are the words that stand in lines.

/** A page of `scn explain`. */
export interface WordPage {
  /** What it is, in one line. */
  readonly title: string
  readonly text: string
  /** A line of a trace in which the word stands. */
  readonly example?: string
}

const sections: Readonly<Record<string, WordPage>> = {
  scenario: {
    title: 'one scenario and one case of it',
    text: 'Starts a section of a golden. `case` names the row of the case table; a scenario without cases has none.',
    example: 'scenario codes case redirect',
  },
  where: {
    title: 'a name and the addresses it stands for',
    text: 'Traces print names instead of addresses, so that renumbering changes these lines only. Only names that appear are bound. A name stands for the first IPv4 and the first IPv6 address; other addresses of a node have names such as `host/veth0`. What has no name prints as a number.',
    example: 'where app 10.2.0.2',
  },
  outcome: {
    title: 'how a packet ended',
    text: '`delivered NODE`, `dropped PLACE REASON`, `consumed PLACE` (a program took it: TC_ACT_STOLEN), `looped PLACE` (it went round until the hop limit), `unfinished` (nothing more happened and nobody had it). A packet that was copied has one line for each way in which copies ended, with their number behind it (`x12`).',
    example: 'outcome p1 dropped app/eth0/rx SKB_DROP_REASON_OTHERHOST',
  },
  packet: {
    title: 'one packet as it was born',
    text: 'The name says the cause: `f1.synack` is what flow f1 answered, `p1.icmp` what packet p1 caused. Protocol, ends, TCP flags in the letters of tcpdump, length of the payload if there is one, TTL (hop limit for IPv6).',
    example: 'packet f1.syn tcp client:40000 > server:80 S ttl 64',
  },
  like: {
    title: 'this packet went the way of another one',
    text: 'Stands for all hooks of the packet named. Each line below is an exception: `@ NODE PLACE: EFFECT` replaces the effect that begins with the same words (or adds it), `@ NODE PLACE: no WORDS` removes the one that begins with these words.',
    example: 'like f1.syn except',
  },
  state: {
    title: 'what a namespace was left with',
    text: 'Entries of tables that differ from the start of the scenario: neighbours, conntrack, NAT, maps.',
  },
}

const stages: Readonly<Record<string, WordPage>> = {
  rx: {
    title: 'a device received the frame',
    text: 'Before XDP. A drop in the IP receive function (ip_rcv) and the delivery to a socket stand here too, on the arriving device.',
    example: '  eth0 rx               socket              DELIVER tcp/80',
  },
  gso: {
    title: 'a large packet was cut into segments',
    text: 'A send of several segments passes netfilter, tc egress and the queue as one packet; a device without TSO gets it in segments (validate_xmit_skb). `SEGMENT 3 x 1448` says how many, and how long their payloads are; the others are packets of their own.',
    example: '  eth0 gso              kernel              SEGMENT 3 x 1448',
  },
  gro: {
    title: 'segments were merged on receive',
    text: 'Segments of one TCP flow that arrived in one poll are one packet from here on (dev_gro_receive). The first goes on as `MERGED 4 x 1448`; the others end here with `MERGE f1.data1`, which names it.',
    example: '  eth0 gro              kernel              MERGED 4 x 1448',
  },
  tx: {
    title: 'the frame left by the driver',
    text: "After tc egress and the taps (dev_hard_start_xmit). What arrives on the other side of the wire is that side's `rx`.",
    example: '  veth0 tx',
  },
  xdp: {
    title: 'an XDP program ran',
    text: 'In the driver before an sk_buff exists (native), or right after it was built (generic). Codes: PASS, DROP, TX, REDIRECT, ABORTED; ABORTED and unknown codes drop and fire the tracepoint xdp_exception.',
    example: '  eth0 xdp              blocklist           PASS',
  },
  'tc-in': {
    title: 'a tc or tcx program ran on ingress',
    text: 'After the taps, before the IP layer (sch_handle_ingress). The line shows the final code of the whole run: OK, SHOT, STOLEN, REDIRECT, UNSPEC, PIPE ...',
    example: '  eth0 tc-in            classify            REDIRECT veth0 neigh',
  },
  'tc-out': {
    title: 'a tc or tcx program ran on egress',
    text: 'Before the queueing discipline and the taps (sch_handle_egress).',
    example: '  eth0 tc-out           cil_to_netdev       OK',
  },
  'netkit-primary': {
    title: 'a program ran on what the primary device of a netkit pair sends',
    text: 'Behind tc egress and taps, in the view of the other end (netkit_xmit). Codes: NEXT, PASS, DROP, REDIRECT.',
    example: '  lxc-web netkit-primary cil_to_container   PASS',
  },
  'netkit-peer': {
    title: 'a program ran on what the other end of a netkit pair sends',
    text: 'The packet of a pod, before it leaves the pod: the program is managed at the primary device and sees the packet as the primary device would. A redirect leaves at once, what passes goes by the backlog.',
    example: '  lxc-web netkit-peer   cil_from_container  REDIRECT eth0 neigh',
  },
  route: {
    title: 'the routing decision',
    text: 'FORWARD names the outgoing device; `ttl` and `fib` stand below. A packet for the namespace itself has no such line, its delivery says enough.',
    example: '  route                 kernel              FORWARD veth0',
  },
  nf: {
    title: 'a netfilter chain',
    text: 'Written `nf TABLE/CHAIN`. Shown at level full, or where the chain rewrote or dropped the packet.',
    example: '  nf nat/PREROUTING     kernel              ACCEPT',
  },
  xfrm: {
    title: 'IPsec of the kernel',
    text: 'ENCRYPT and DECRYPT stand here, and packets that end between them because no state fits, a number came twice or a check value is wrong. What policies refuse ends at `route` or `rx`.',
    example: '  xfrm                  kernel              ENCRYPT',
  },
  neigh: {
    title: 'neighbour resolution',
    text: 'The MAC addresses of the next hop are filled in, or an ARP or ND request goes out and the packet waits. Shown at level full, or where the packet ended.',
  },
  xmit: {
    title: 'the own work of a virtual device',
    text: 'Encapsulation by a vxlan, geneve or ipip device. The outer packet goes on below, in the same record.',
    example: '  cilium_vxlan xmit     kernel              ENCAP',
  },
  decap: {
    title: 'a tunnel packet was opened',
    text: 'Written as the UDP port that received it. What follows happens to the inner packet.',
    example: '  udp 8472              kernel              DECAP',
  },
  bridge: {
    title: 'a bridge chose its ports',
    text: 'Forward to the port that the FDB knows, or flood. Shown at level full.',
  },
  socket: {
    title: 'a socket',
    text: 'As an actor: the socket that took the packet. `DELIVER tcp/80` names its protocol and port.',
  },
}

const effects: Readonly<Record<string, WordPage>> = {
  ttl: {
    title: 'the TTL or hop limit changed',
    text: 'Computed from the bytes before and after the hook. Who routes counts down: the kernel when it forwards, and programs that do its work.',
    example: '    ttl 64 -> 63',
  },
  dnat: {
    title: 'the destination was rewritten',
    text: 'Address, port or both differ after the hook. `dnat reply` is the source of an answer going back to the address that was dialled.',
    example: '    dnat n1:30080 -> web:8080',
  },
  snat: {
    title: 'the source was rewritten',
    text: 'Address, port or both differ after the hook. `snat reply` is the destination of an answer going back to the sender that was hidden.',
    example: '    snat client:55000 -> n1:55000',
  },
  swap: {
    title: 'source and destination changed places',
    text: 'As an XDP program does that answers from the driver.',
    example: '    swap ip udp friend:4000 <> app:7',
  },
  fib: {
    title: 'the route that was chosen',
    text: 'Next hop and outgoing device; an on-link destination is its own next hop. `table` stands for any table but main and local.',
    example: '    fib n2 eth0',
  },
  'ip-opt': {
    title: 'an IPv4 option came or went',
    text: "Cilium carries the dialled service address to the backend's node in the option `dsr`.",
    example: '    ip-opt add dsr n1:30080',
  },
  wireguard: {
    title: 'a packet inside WireGuard',
    text: 'Computed from the bytes: the outer ends, `end` where it was opened.',
    example: '    wireguard n1 > n2',
  },
  esp: {
    title: 'a packet inside ESP',
    text: 'Computed from the bytes: the security parameter index and the outer ends.',
    example: '    esp spi 3 n1 > n2',
  },
  vxlan: {
    title: 'a VXLAN header was put on or taken off',
    text: 'With the VNI, as a name where an identity has one, and with the outer addresses when put on.',
    example: '    vxlan vni client n1 > n2',
  },
  vlan: {
    title: 'an 802.1Q tag was pushed, popped or changed',
    text: 'Whether Linux keeps the tag in the frame or beside it makes no difference.',
    example: '    vlan push 5',
  },
  monitor: {
    title: 'records that a program sent to the monitor',
    text: 'Observation points of Cilium, decoded from the bytes of the perf or ring buffer; several records of one hook share a line.',
    example: '    monitor from-endpoint to-overlay',
  },
  map: {
    title: 'an entry of a map differs after the hook',
    text: 'Key and values print by the declared layout of the map, or as hexadecimal digits. Maps that a datapath knows have their own words.',
    example: '    map seen[friend] add 1',
  },
  record: {
    title: 'a record in a perf or ring buffer',
    text: 'Bytes that nobody decodes print as hexadecimal digits.',
    example: '    record events 0x0102',
  },
  event: {
    title: 'a tracepoint fired',
    text: 'One that people subscribe to, such as xdp_exception.',
    example: '    event xdp_exception',
  },
  drop: {
    title: 'why the packet ended here',
    text: 'Printed where the decision does not say it already. `scn explain REASON` has a page for each reason.',
  },
  payload: {
    title: 'what follows the headers changed',
    text: 'Its length, or its content at the same length.',
    example: '    payload 100B -> 90B',
  },
  meta: {
    title: 'the metadata in front of the frame grew or shrank',
    text: 'bpf_xdp_adjust_meta: bytes that XDP leaves for tc.',
    example: '    meta 0B -> 4B',
  },
  mark: { title: 'skb->mark changed', text: 'Shown at level full.', example: '    mark 0x0 -> 0x200' },
  eth: {
    title: 'a MAC address changed',
    text: '`eth.dst` and `eth.src`, shown at level full.',
    example: '    eth.dst 02:00:00:00:00:01 -> 02:00:00:00:00:02',
  },
  tail: {
    title: 'a run inside this run',
    text: 'A program that was called for an endpoint, with its effects below in the same order. The hook line has the final code of the whole run.',
    example: '    tail cil_lxc_policy lxc-web',
  },
}

const decisions: Readonly<Record<string, WordPage>> = {
  DELIVER: {
    title: 'a receiver took the packet',
    text: 'A socket, by protocol and port, or an endpoint that only listens.',
  },
  FORWARD: {
    title: 'the packet goes on by a device',
    text: 'The kernel routed it, and the TTL is counted down.',
  },
  DROP: {
    title: 'the packet ended',
    text: 'The reason stands behind it without the prefix SKB_DROP_REASON_; the outcome line has the whole name.',
  },
  REDIRECT: {
    title: 'a program sent the packet elsewhere',
    text: "To the egress of a device; `neigh` lets the kernel fill in the MAC addresses (bpf_redirect_neigh), `peer` crosses into the namespace of the device's peer (bpf_redirect_peer), `ingress` enters a device as if received there.",
  },
  ENCAP: { title: 'a tunnel device wrapped the packet', text: 'The tunnel header stands below.' },
  ENCRYPT: {
    title: 'a packet was encrypted',
    text: 'By a WireGuard device or by xfrm (ESP). Nobody on the way can read it; the record goes on with the outer packet, and what is inside stands at level full.',
  },
  DECRYPT: {
    title: 'an encrypted packet was opened',
    text: 'By a WireGuard device or by xfrm (ESP). What follows happens to the packet inside.',
  },
  DECAP: { title: 'a tunnel packet was opened', text: 'The tunnel header stands below.' },
}

/** Pages for the mistakes in goldens, by code. */
export const goldenPages: ReadonlyMap<string, WordPage> = new Map(
  Object.entries({
    G001: {
      title: 'this is not a trace',
      text: 'A golden starts with the line `scn-trace 1 LEVEL` and nothing else on it. Delete the file and accept the trace again.',
      example: 'scn-trace 1 hops',
    },
    G002: {
      title: 'the golden has a format that this program does not read',
      text: 'A newer program wrote it. Use that one, or accept the trace again with this one.',
    },
    G003: {
      title: 'a merge left its marks in a golden',
      text: 'Goldens are not merged by hand: resolve the specification, delete the golden, run again, read what is new and accept it.',
    },
    G004: {
      title: 'unknown level',
      text: 'A level is minimal, hops or full. A section that differs from the header says `level LEVEL` in its second line.',
    },
    G005: {
      title: 'a section stands twice',
      text: 'Each scenario and case has one section. A merge of two branches that both added it does this; delete the golden and accept again.',
    },
    G006: {
      title: 'a line that is no line of a trace',
      text: 'Lines start with where, outcome, packet, like, @, state, scenario or level; hooks are indented by two blanks and effects by four.',
    },
    G007: {
      title: 'a reference leads nowhere',
      text: '`like NAME` needs a packet of that name above it in the same section, and each exception a hook and an effect of that packet.',
    },
  }),
)

/** Every word with a page. */
export const traceWords: ReadonlyMap<string, WordPage> = new Map(
  Object.entries({ ...sections, ...stages, ...effects, ...decisions }),
)
