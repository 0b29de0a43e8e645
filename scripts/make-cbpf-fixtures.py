"""Writes src/bpf/cbpf/fixtures/tcpdump.json: filters as `tcpdump -dd` prints them, and which frames tcpdump lets through.

Needs tcpdump (the Debian package). The frames are those of src/net/fixtures/scapy.json.
"""
import json, os, struct, subprocess, tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FILTERS = [
    "ip", "arp", "ip6", "tcp", "udp", "icmp", "icmp6",
    "tcp dst port 80", "udp port 53", "port 80 or port 443",
    "host 10.0.0.1", "src net 10.0.0.0/8 and not arp", "ether host 02:00:00:00:00:0a", "ether broadcast",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "ip[8] < 64", "ip[6:2] & 0x1fff != 0",
    "len > 100", "greater 60", "vlan", "vlan and ip", "ip6 and udp", "icmp[icmptype] == icmp-echo",
    "udp[8:4] = 0x08000000", "ip proto 132", "ip and (tcp[12] >> 4) * 4 > 20", "portrange 1000-5000",
    "ip[2:2] - ((ip[0] & 0xf) << 2) > 30",
]


def tcpdump(*args):
    done = subprocess.run(["tcpdump", *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return done.stdout


def main():
    with open(os.path.join(ROOT, "src/net/fixtures/scapy.json")) as source:
        frames = [case["hex"] for case in json.load(source)["cases"] if len(case["hex"]) >= 28]
    with tempfile.NamedTemporaryFile(suffix=".pcap", delete=False) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for index, frame in enumerate(frames):
            data = bytes.fromhex(frame)
            out.write(struct.pack("<IIII", index, 0, len(data), len(data)) + data)
    cases = []
    for text in FILTERS:
        program = tcpdump("-y", "EN10MB", "-r", out.name, "-dd", text).strip().split("\n")
        decimal = tcpdump("-y", "EN10MB", "-r", out.name, "-ddd", text).strip()
        lines = tcpdump("-tt", "-n", "-r", out.name, text).split("\n")
        # the time of a frame is its number; further lines of a frame are indented
        passed = [int(line.split(".")[0]) for line in lines if line and line[0].isdigit() and "." in line.split(" ")[0]]
        cases.append({"filter": text, "dd": program, "ddd": decimal, "passed": passed})
    os.unlink(out.name)
    version = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True)
    made = (version.stdout + version.stderr).split("\n")[:2]
    path = os.path.join(ROOT, "src/bpf/cbpf/fixtures/tcpdump.json")
    with open(path, "w") as target:
        json.dump({"made": "by scripts/make-cbpf-fixtures.py with " + ", ".join(made), "frames": frames, "cases": cases}, target, indent=1)
        target.write("\n")


main()
