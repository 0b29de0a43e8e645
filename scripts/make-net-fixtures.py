#!/usr/bin/python3
"""Makes src/net/fixtures/scapy.json: packets written by scapy, and what scapy says about their fields.

Our decoders are tested against these bytes, so this script must not share a line with them. Needs Debian's
python3-scapy (2.5.0 made the committed file). Run from the root of the repository: scripts/make-net-fixtures.py
"""

import json
import logging

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

import scapy
from scapy.all import (ARP, Dot1AD, Dot1Q, Ether, ICMP, IP, IPOption, IPOption_Router_Alert, IPv6, Raw, SCTP,
                       SCTPChunkData, SCTPChunkInit, SCTPChunkParamCookiePreservative, TCP, UDP)
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU,
                                ICMPv6NDOptPrefixInfo, ICMPv6NDOptRedirectedHdr, ICMPv6NDOptSrcLLAddr,
                                ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, RouterAlert)
from scapy.layers.vxlan import VXLAN

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
eth = Ether(src=A, dst=B)
ip4 = IP(src="10.1.0.50", dst="10.2.0.2", id=0x1234, ttl=61)
ip6 = IPv6(src="fd00:1::50", dst="fd00:2::2", hlim=61, tc=0xb8, fl=0xabcde)
quoted4 = IP(src="10.2.0.2", dst="10.1.0.50", id=7, ttl=1) / UDP(sport=5353, dport=9, chksum=0x1111)
quoted6 = IPv6(src="fd00:2::2", dst="fd00:1::50", hlim=1) / UDP(sport=5353, dport=9, chksum=0x1111)
inner = Ether(src="02:00:00:00:01:0a", dst="02:00:00:00:01:0b") / IP(
    src="10.0.1.10", dst="10.0.2.20", ttl=63, id=1, flags="DF") / TCP(sport=40000, dport=80, seq=1000, flags="S")

packets = {
    "ethernet with an unknown type": Ether(src=A, dst=B, type=0x88cc) / Raw(b"\x01\x02\x03"),
    "arp request": Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=A, psrc="10.0.0.2", pdst="10.0.0.1"),
    "arp reply": eth / ARP(op=2, hwsrc=A, psrc="10.0.0.1", hwdst=B, pdst="10.0.0.2"),
    "vlan tag": eth / Dot1Q(vlan=100, prio=5, id=1) / ip4 / UDP(sport=1, dport=2),
    "vlan in vlan": eth / Dot1AD(vlan=200) / Dot1Q(vlan=100) / ip4 / UDP(sport=1, dport=2),
    "tcp syn with options": eth / ip4 / TCP(
        sport=4000, dport=80, seq=0xfffffffe, flags="S", window=64240,
        options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (0x11223344, 0)), ("NOP", None), ("WScale", 7)]),
    "tcp with sack": eth / ip4 / TCP(
        sport=80, dport=4000, seq=5, ack=77, flags="A",
        options=[("NOP", None), ("NOP", None), ("SAck", (100, 200, 300, 400))]),
    "tcp with every flag and data": eth / ip4 / TCP(
        sport=80, dport=4000, seq=1, ack=2, flags="FSRPAUEC", urgptr=9, window=1) / Raw(b"odd length data!!!"[:17]),
    "tcp with end of options": eth / ip4 / TCP(sport=1, dport=2, flags="SA", options=[("MSS", 536), ("EOL", None)]),
    "tcp with an unknown option": eth / ip4 / TCP(sport=1, dport=2, flags="R", options=[(253, b"\xab\xcd")]),
    "udp": eth / ip4 / UDP(sport=4000, dport=53) / Raw(b"hello"),
    "udp without checksum": eth / ip4 / UDP(sport=4000, dport=53, chksum=0) / Raw(b"hello"),
    "udp in a padded frame": eth / ip4 / UDP(sport=4000, dport=53) / Raw(b"x"),
    "ipv4 with dscp, ecn and df": eth / IP(src="1.2.3.4", dst="255.254.253.252", tos=0xb9, flags="DF", ttl=255) / UDP(),
    "ipv4 with the dsr option": eth / IP(
        src="203.0.113.7", dst="10.244.2.20", ttl=63,
        options=[IPOption(bytes.fromhex("9a088075010a000a"))]) / TCP(sport=40001, dport=8080, flags="S"),
    "ipv4 with router alert": eth / IP(
        src="10.0.0.1", dst="224.0.0.22", ttl=1, options=[IPOption_Router_Alert()]) / Raw(b"\x22\x00"),
    "ipv4 first fragment": eth / IP(src="10.0.0.1", dst="10.0.0.2", id=77, flags="MF", proto=17) / UDP(
        sport=1, dport=2, len=2008, chksum=0xabcd) / Raw(b"f" * 24),
    "ipv4 last fragment": eth / IP(src="10.0.0.1", dst="10.0.0.2", id=77, frag=4, proto=17) / Raw(b"g" * 9),
    "icmp echo request": eth / ip4 / ICMP(type=8, id=0x4242, seq=3) / Raw(b"abcdefgh"),
    "icmp echo reply": eth / ip4 / ICMP(type=0, id=0x4242, seq=3) / Raw(b"abcdefg"),
    "icmp host unreachable": eth / ip4 / ICMP(type=3, code=1) / quoted4,
    "icmp port unreachable": eth / ip4 / ICMP(type=3, code=3) / quoted4,
    "icmp fragmentation needed": eth / ip4 / ICMP(type=3, code=4, nexthopmtu=1450) / quoted4,
    "icmp source quench": eth / ip4 / ICMP(type=4) / quoted4,
    "icmp redirect": eth / ip4 / ICMP(type=5, code=1, gw="10.1.0.254") / quoted4,
    "icmp time exceeded": eth / ip4 / ICMP(type=11, code=0) / quoted4,
    "icmp parameter problem": eth / ip4 / ICMP(type=12, code=0, ptr=20) / quoted4,
    "ipv6 udp": eth / ip6 / UDP(sport=4000, dport=53) / Raw(b"hello"),
    "ipv6 tcp": eth / ip6 / TCP(sport=4000, dport=80, flags="PA", seq=9, ack=8) / Raw(b"data"),
    "ipv6 hop-by-hop": eth / ip6 / IPv6ExtHdrHopByHop(options=[RouterAlert(value=0), PadN(optdata=b"")]) / UDP(sport=1, dport=2),
    "ipv6 routing and destination options": eth / ip6 / IPv6ExtHdrRouting(
        addresses=["fd00:3::1", "fd00:2::2"], segleft=0) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")])
    / TCP(sport=1, dport=2),
    "ipv6 first fragment": eth / ip6 / IPv6ExtHdrFragment(offset=0, m=1, id=0xdeadbeef) / UDP(
        sport=1, dport=2, len=1000, chksum=0xabcd) / Raw(b"f" * 16),
    "ipv6 last fragment": eth / ip6 / IPv6ExtHdrFragment(offset=3, m=0, id=0xdeadbeef, nh=17) / Raw(b"g" * 5),
    "icmpv6 echo request": eth / ip6 / ICMPv6EchoRequest(id=0x4242, seq=3, data=b"abcdefg"),
    "icmpv6 echo reply": eth / ip6 / ICMPv6EchoReply(id=0x4242, seq=4, data=b"abcdefgh"),
    "icmpv6 port unreachable": eth / ip6 / ICMPv6DestUnreach(code=4) / quoted6,
    "icmpv6 packet too big": eth / ip6 / ICMPv6PacketTooBig(mtu=1280) / quoted6,
    "icmpv6 time exceeded": eth / ip6 / ICMPv6TimeExceeded(code=0) / quoted6,
    "icmpv6 parameter problem": eth / ip6 / ICMPv6ParamProblem(code=1, ptr=6) / quoted6,
    "nd router solicitation": eth / IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=A),
    "nd router advertisement": eth / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(
        chlim=64, M=1, O=0, routerlifetime=1800, reachabletime=30000, retranstimer=1000) / ICMPv6NDOptMTU(mtu=1400)
    / ICMPv6NDOptPrefixInfo(prefixlen=64, L=1, A=1, validlifetime=86400, preferredlifetime=14400, prefix="fd00:1::"),
    "nd neighbour solicitation": eth / IPv6(src="fd00:1::50", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(
        tgt="fd00:1::1") / ICMPv6NDOptSrcLLAddr(lladdr=A),
    "nd neighbour advertisement": eth / IPv6(src="fd00:1::1", dst="fd00:1::50", hlim=255) / ICMPv6ND_NA(
        R=1, S=1, O=0, tgt="fd00:1::1") / ICMPv6NDOptDstLLAddr(lladdr=B),
    "nd redirect": eth / IPv6(src="fe80::1", dst="fd00:1::50", hlim=255) / ICMPv6ND_Redirect(
        tgt="fe80::2", dst="fd00:9::9") / ICMPv6NDOptRedirectedHdr(pkt=bytes(quoted6)),
    "sctp init": eth / ip4 / SCTP(sport=4000, dport=9999, tag=0) / SCTPChunkInit(
        init_tag=0x01020304, a_rwnd=106496, n_out_streams=10, n_in_streams=65535, init_tsn=1,
        params=[SCTPChunkParamCookiePreservative(sug_cookie_inc=60)]),
    "sctp data": eth / ip6 / SCTP(sport=4000, dport=9999, tag=0xcafebabe) / SCTPChunkData(
        beginning=1, ending=1, tsn=1, stream_id=2, stream_seq=3, proto_id=4, data=b"hello"),
    "vxlan": eth / IP(
        src="192.168.5.11", dst="192.168.5.12", id=0) / UDP(sport=41000, dport=8472, chksum=0) / VXLAN(flags=8, vni=4521) / inner,
    "vxlan with outer checksum": eth / IP(src="192.168.5.11", dst="192.168.5.12") / UDP(
        sport=41000, dport=4789) / VXLAN(flags=8, vni=0xffffff) / inner,
    "vxlan over ipv6": eth / ip6 / UDP(sport=41000, dport=4789) / VXLAN(flags=8, vni=1) / inner,
    "geneve with an option": eth / IP(src="192.168.5.11", dst="192.168.5.12") / UDP(
        sport=41000, dport=6081, chksum=0) / GENEVE(
            vni=2, options=[GeneveOptions(classid=0x014b, type=0x81, data=bytes.fromhex("0a000a0175800000"))]) / inner,
    "geneve with ipv4 inside": eth / IP(src="192.168.5.11", dst="192.168.5.12") / UDP(
        sport=41000, dport=6081) / GENEVE(vni=3, proto=0x0800) / inner[IP],
    "ipip": eth / IP(src="192.168.5.11", dst="192.168.5.12", ttl=64) / inner[IP],
    "ip6 in ip": eth / IP(src="192.168.5.11", dst="192.168.5.12", ttl=64) / ip6 / UDP(sport=1, dport=2),
    "ip in ip6": eth / ip6 / inner[IP],
}

# Our name of a field -> scapy's. A third word picks the value of an option.
NAMES = {
    Ether: ("eth", {"src": "src", "dst": "dst", "type": "type"}),
    Dot1Q: ("vlan", {"vid": "vlan", "priority": "prio", "type": "type"}),
    Dot1AD: ("vlan", {"vid": "vlan", "priority": "prio", "type": "type"}),
    ARP: ("arp", {"op": "op", "sha": "hwsrc", "spa": "psrc", "tha": "hwdst", "tpa": "pdst"}),
    IP: ("ip", {"src": "src", "dst": "dst", "ttl": "ttl", "id": "id", "tos": "tos", "len": "len", "proto": "proto",
                "checksum": "chksum"}),
    IPv6: ("ip6", {"src": "src", "dst": "dst", "hoplimit": "hlim", "flow": "fl", "tc": "tc", "next": "nh", "len": "plen"}),
    TCP: ("tcp", {"sport": "sport", "dport": "dport", "seq": "seq", "ack": "ack", "window": "window",
                  "urgent": "urgptr", "checksum": "chksum"}),
    UDP: ("udp", {"sport": "sport", "dport": "dport", "len": "len", "checksum": "chksum"}),
    SCTP: ("sctp", {"sport": "sport", "dport": "dport", "vtag": "tag", "checksum": "chksum"}),
    ICMP: ("icmp", {"type": "type", "code": "code", "id": "id", "seq": "seq", "mtu": "nexthopmtu", "gateway": "gw",
                    "pointer": "ptr", "checksum": "chksum"}),
    VXLAN: ("vxlan", {"vni": "vni"}),
    GENEVE: ("geneve", {"vni": "vni", "type": "proto"}),
}
for cls in (ICMPv6EchoRequest, ICMPv6EchoReply, ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded,
            ICMPv6ParamProblem, ICMPv6ND_RS, ICMPv6ND_RA, ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6ND_Redirect):
    NAMES[cls] = ("icmp6", {"type": "type", "code": "code", "checksum": "cksum", "id": "id", "seq": "seq",
                            "mtu": "mtu", "pointer": "ptr", "target": "tgt"})


def describe(packet):
    """Every header that scapy finds, in order, as {"layer": ..., "fields": {...}}; quotes in ICMP errors end the walk."""
    found = []
    for cls in packet.layers():
        if cls not in NAMES:
            if "error" in cls.__name__ or cls.__name__.endswith("inICMP"):
                break
            continue
        layer, names = NAMES[cls]
        header = packet.getlayer(cls, 1 + sum(1 for each in found if each["class"] == cls.__name__))
        values = {}
        for ours, theirs in names.items():
            if theirs in header.fields or theirs in header.default_fields:
                value = header.getfieldval(theirs)
                if value is not None:
                    values[ours] = value if isinstance(value, (int, str)) else int(value)
        if cls is IP:
            values["df"] = bool(header.flags.DF)
            values["mf"] = bool(header.flags.MF)
            values["frag"] = header.frag * 8
        if cls is TCP:
            values["flags"] = int(header.flags)
            options = dict((name, value) for name, value in header.options if name in ("MSS", "WScale"))
            if "MSS" in options:
                values["mss"] = options["MSS"]
            if "WScale" in options:
                values["wscale"] = options["WScale"]
        if cls is ICMP:
            error = header.type in (3, 4, 5, 11, 12)
            keep = {"type", "code", "checksum"}
            keep |= {"id", "seq"} if header.type in (0, 8) else set()
            keep |= {"mtu"} if (header.type, header.code) == (3, 4) else set()
            keep |= {"gateway"} if header.type == 5 else set()
            keep |= {"pointer"} if header.type == 12 else set()
            values = {name: value for name, value in values.items() if name in keep}
            found.append({"class": cls.__name__, "layer": layer, "fields": values})
            if error:
                break
            continue
        found.append({"class": cls.__name__, "layer": layer, "fields": values})
    return [{"layer": each["layer"], "fields": each["fields"]} for each in found]


cases = []
for name, packet in packets.items():
    raw = bytes(packet)
    if name == "udp in a padded frame":
        raw = raw.ljust(60, b"\0")
    parsed = Ether(raw)
    cases.append({"name": name, "scapy": parsed.summary(), "hex": raw.hex(), "layers": describe(parsed)})

with open("src/net/fixtures/scapy.json", "w", encoding="utf-8") as file:
    json.dump({"made": "by scripts/make-net-fixtures.py with scapy " + scapy.__version__, "cases": cases}, file, indent=2)
    file.write("\n")
print(len(cases), "cases")
