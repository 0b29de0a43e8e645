// A small spec for tests of the command: two scenarios, three cases, one knob that changes traces and breaks nothing.

/** Two hosts on one wire; every packet leaves with this TTL. */
export function hello(ttl = 64): string {
  return `scn 1

doc "Two hosts on one wire say hello."

topology {
  net lan 10.0.0.0/24
  node alice { dev eth0 on lan 10.0.0.1 }
  node bob   { dev eth0 on lan 10.0.0.2; listen udp 7; listen udp 8 }
}

scenario hello "hello, port \${port}" {
  tags net smoke
  cases {
    | id  | port |
    | one | 7    |
    | two | 8    |
  }
  f1: udp alice:4000 > bob:$port ttl ${ttl} { send 5 }
  expect f1.data1 delivered to bob
}

scenario nobody "nobody listens" {
  tags net slow
  f1: udp alice:4000 > bob:9 ttl ${ttl} { send 5 }
  expect f1.data1.icmp delivered to alice
}
`
}

/** The exact selectors of its cases. */
export const helloCases = ['hello.scn::hello[one]', 'hello.scn::hello[two]', 'hello.scn::nobody'] as const

/** A file that checks, but whose engine is still to come. */
export const clusterSpec = `scn 1

topology {
  cluster kube-proxy iptables
  node n1
}

scenario idle { wait 1s }
`
