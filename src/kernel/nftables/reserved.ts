// Words that the scanner of nft 1.0.6 keeps for itself: no table, chain, set or counter can have them as a name (asked of nft -c).

export const reservedWords: ReadonlySet<string> = new Set(
  `
    accept drop continue return jump goto queue reject dnat snat masquerade redirect notrack counter log
    limit quota set map chain table rule element flowtable add create insert delete replace flush list
    reset rename import export monitor describe type typeof hook priority policy device devices flags
    timeout size elements comment ip ip6 inet arp bridge netdev tcp udp sctp dccp udplite th icmp icmpv6
    igmp esp ah comp ether vlan meta ct fib rt socket numgen jhash symhash osf ipsec mark iif iifname
    oif oifname random vmap synproxy tproxy dup fwd and or xor not eq ne lt gt le ge define include hour
    day dynamic interval constant expires all exists missing handle index position auto-merge frag hbh
    dst mh srh exthdr cgroup skuid skgid cpu pkttype time secmark ecn
  `
    .trim()
    .split(/\s+/),
)
