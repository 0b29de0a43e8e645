// Pages about values: addresses, numbers, codes, fields.
import type { CodePage } from '../../syntax/codes.ts'

export const valueCodes = {
  S104: {
    title: 'no address',
    explanation:
      'An IPv4 address has four decimal parts up to 255, an IPv6 address is written as in RFC 4291; a prefix has a length ' +
      'up to 32 or 128. The destination of a route has no bits behind its length: the kernel refuses it otherwise.',
    example: 'dev eth0 on lan 10.0.0.256',
    better: 'dev eth0 on lan 10.0.0.25',
  },
  S105: {
    title: 'an address outside its net',
    explanation:
      'What is plugged into a net has addresses of that net. A bare address takes the length of the net’s prefix.',
    example: 'net lan 10.1.0.0/24\nexternal c on lan 10.2.0.5',
    better: 'net lan 10.1.0.0/24\nexternal c on lan 10.1.0.5',
  },
  S106: {
    title: 'an address that is in use',
    explanation:
      'Two devices on one wire, or in one namespace, cannot have the same address: who answers would depend on chance. ' +
      'The same address in namespaces that cannot reach each other is fine.',
    example: 'external a on lan 10.0.0.5\nexternal b on lan 10.0.0.5',
    better: 'external a on lan 10.0.0.5\nexternal b on lan 10.0.0.6',
  },
  S107: {
    title: 'a return code of another program type',
    explanation:
      'XDP programs return XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX or XDP_REDIRECT; tc programs return TC_ACT_OK, ' +
      'TC_ACT_SHOT, TC_ACT_REDIRECT and others, tcx programs also TCX_NEXT, TCX_PASS, TCX_DROP. The numbers overlap, so a code ' +
      'of the wrong type would do something else than its name says.',
    example: 'tcp.dport == 22 => TC_ACT_DROP',
    better: 'tcp.dport == 22 => TC_ACT_SHOT',
  },
  S108: {
    title: 'a number out of range',
    explanation:
      'The number does not fit the header field or the kernel’s limit: ports end at 65535, TTLs at 255.',
    example: 'listen tcp 70000',
    better: 'listen tcp 7000',
  },
  S109: {
    title: 'no MAC address',
    explanation:
      'A MAC address is six pairs of hex digits with colons. In a packet the name of a host stands for its own.',
    example: 'dev eth0 on lan mac 02:00:00:00:00:0',
    better: 'dev eth0 on lan mac 02:00:00:00:00:01',
  },
  S121: {
    title: 'a value that the field cannot have',
    explanation:
      'The field says what it is compared with: numbers for `ip.ttl`, addresses or names of hosts for `ip.src`, flags such as ' +
      '`syn+ack` for `tcp.flags`. Only numbers have an order; only texts match a pattern.',
    example: 'ip.ttl == client',
    better: 'ip.src == client',
  },
  S123: {
    title: 'a drop reason that there is not',
    explanation:
      'Every drop has a reason from a closed list: the kernel’s SKB_DROP_REASON_* names, a few that end in _SCN where Linux ' +
      'gives no reason, and Cilium’s names in a world with Cilium.',
    example: 'reason SKB_DROP_REASON_OTHER_HOST',
    better: 'reason SKB_DROP_REASON_OTHERHOST',
  },
  S124: {
    title: 'a sysctl that there is not',
    explanation:
      'Only sysctls that the simulated kernel reads may be set, because a setting without effect would mislead.',
    example: 'sysctl net.ipv4.ip_foward = 1',
    better: 'sysctl net.ipv4.ip_forward = 1',
  },
  S136: {
    title: 'a protocol or message that there is not',
    explanation:
      'Protocols, ICMP messages and SCTP chunks are closed lists. This one came out of a variable.',
    example: 'p1: packet $l4 a:1 > b:2 on host/eth0     # l4 = tpc',
    better: 'p1: packet $l4 a:1 > b:2 on host/eth0     # l4 = tcp',
  },
  S137: {
    title: 'a word that is not in its list',
    explanation: 'Outcomes, tracepoints, errno names and the options of a cluster are closed lists.',
    example: 'outcome $end app     # end = deliverd',
    better: 'outcome $end app     # end = delivered',
  },
  S142: {
    title: 'a packet that cannot be built',
    explanation:
      'Hex bytes have two digits each, a frame has at least an Ethernet header, and a frame fits a device.',
    example: 'p1: packet hex "02 0" on host/eth0',
    better: 'p1: packet tcp a:1 > b:2 on host/eth0',
  },
  S143: {
    title: 'ends without a common address family',
    explanation:
      'Both ends of a packet are IPv4 or both are IPv6, and so are `from` and `to` of a rule. A name means the first address of the family that both have. A pod has one of a family that its cluster has on.',
    example: 'p1: packet tcp 10.0.0.1:1 > [fd00::1]:80 on host/eth0',
    better: 'p1: packet tcp [fd00::2]:1 > [fd00::1]:80 on host/eth0',
  },
  S144: {
    title: 'no number, size or duration',
    explanation:
      'Numbers are decimal or start with 0x; durations have a unit (`30s`, `1500ms`), sizes may have one (`9000B`). ' +
      'TCP, UDP and SCTP need ports at both ends of a packet and at the far end of a flow.',
    example: 'wait 30',
    better: 'wait 30s',
  },
  S145: {
    title: 'a rule set with a mistake',
    explanation:
      'The text between the quotes is what `iptables-save`, `ip6tables-save` or `ipset save` print: a table that exists, chains that are declared, matches and targets that are modelled, COMMIT at the end.',
    example: 'iptables """\n*filter\n-A INPUT -p tcp --dport http -j DORP\nCOMMIT\n"""',
    better: 'iptables """\n*filter\n-A INPUT -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n"""',
  },
  S146: {
    title: 'a manifest that Kubernetes refuses',
    explanation:
      'Manifests are read as kubectl and the API server read them: closed lists of kinds and fields, values of the right type, blanks ' +
      'and no tabs. Policies are also checked as the agent checks them: what it refuses would never be enforced. A warning: it is ' +
      'accepted, but does not do what it seems to say.',
    example: 'manifest """\nkind: NetworkPolicy\nspec: { podSelektor: {} }\n"""',
    better: 'manifest """\nkind: NetworkPolicy\nspec: { podSelector: {} }\n"""',
  },
  S147: {
    title: 'an option that Cilium does not have',
    explanation:
      'A cluster’s options are the words of the language, values of the Helm chart and flags of cilium-agent. Helm takes any value ' +
      'silently; here an unknown one is a mistake, because a setting without effect misleads.',
    example: 'cluster cilium 1.19 { set bpf.masqerade = true }',
    better: 'cluster cilium 1.19 { set bpf.masquerade = true }',
  },
  S148: {
    title: 'options with which the agent does not start',
    explanation:
      'cilium-agent refuses options that contradict each other or that the kernel cannot carry out, and says why. The sentence is its own.',
    example: 'cluster cilium 1.19 { auto-direct-node-routes on }     # and a tunnel',
    better: 'cluster cilium 1.19 { routing native; auto-direct-node-routes on }',
  },
  S149: {
    title: 'a fallback of the agent',
    explanation:
      'The agent starts, but works in another way than asked for, because of the kernel or of other options. The warning is its own log line.',
    example: 'cluster cilium 1.19 { kube-proxy-replacement on }     # host routing stays in the stack',
    better: 'cluster cilium 1.19 { kube-proxy-replacement on; bpf-masquerade on }',
  },
  S150: {
    title: 'a version that is not followed exactly',
    explanation:
      'Cilium 1.10 and 1.19 are followed exactly. Another version behaves as the nearer of the two.',
    example: 'cluster cilium 1.18 { }',
    better: 'cluster cilium 1.19 { }',
  },
  S151: {
    title: 'a policy without effect',
    explanation:
      'A policy that selects no pod, or rules about one port that exclude each other, is accepted by the API server and enforces nothing.',
    example: 'policy p on app=wbe { ingress deny }     # no pod has this label',
    better: 'policy p on app=web { ingress deny }',
  },
  S152: {
    title: 'a reach without a pair',
    explanation:
      'Every host behind `from` asks every other one behind `to`, in each family in which both have an address. What a host sends to itself never leaves it, so it is not asked. A line in the block of a `reach` speaks of pairs that the step tries.',
    example: 'reach tcp 80 from web to web',
    better: 'reach tcp 80 from client to web',
  },
} as const satisfies Readonly<Record<string, CodePage>>
