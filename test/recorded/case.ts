// The recorded runs of the real kernel as they lie on disk (facts/recorded/kernel/README.md describes every field).

export type Endpoint = readonly [address: string, port: number]

interface RecordedDevice {
  readonly name: string
  readonly kind: string
  readonly mac?: string
  readonly mtu?: number
  readonly up: boolean
  readonly peer?: { readonly ns: string; readonly dev: string }
  readonly master?: string
  readonly hairpin?: boolean
  /** veth: `off` where the sender finishes checksums. */
  readonly tx_csum?: string
  readonly isolated?: boolean
  /** vxlan: the words of iproute2. */
  readonly opts?: string
  /** macvlan: the device below and how it forwards. */
  readonly lower?: string
  readonly mode?: string
}

export interface RecordedNamespace {
  readonly sysctls?: Readonly<Record<string, number>>
  readonly dev_sysctls?: Readonly<Record<string, number>>
  readonly devices: readonly RecordedDevice[]
  readonly addresses?: readonly { readonly dev: string; readonly addr: string }[]
  readonly routes?: readonly string[]
  readonly rules?: readonly string[]
  readonly neighbours?: readonly {
    readonly dev: string
    readonly ip: string
    readonly mac: string
    readonly state?: string
  }[]
  /** vxlan: inner MAC address -> remote host. */
  readonly fdb?: readonly { readonly dev: string; readonly mac: string; readonly dst: string }[]
  readonly iptables?: string
  readonly ip6tables?: string
  readonly traced?: boolean
}

export interface RecordedVerdict {
  readonly helper: 'redirect' | 'redirect_neigh' | 'redirect_peer' | 'clone_redirect' | 'redirect_map'
  readonly dev?: string | number
  readonly flags?: number
  readonly key?: number
  /** redirect_neigh: an explicit next hop. */
  readonly nh?: string
  readonly then?: string | number
}

export interface RecordedProgram {
  readonly id: string
  readonly ns: string
  readonly dev: string
  readonly hook: 'tc-ingress' | 'tc-egress' | 'tcx-ingress' | 'tcx-egress' | 'xdp-native' | 'xdp-generic'
  readonly prio: number
  readonly match: Readonly<Record<string, string | number>>
  readonly actions: Readonly<Record<string, string | number>>
  readonly verdict: string | number | RecordedVerdict
  readonly nomatch: string | number
}

export interface RecordedResult {
  readonly ok?: string | number
  readonly errno?: string
  readonly data?: string
  readonly len?: number
  readonly src?: Endpoint
}

export interface RecordedStep {
  readonly n: number
  readonly op: string
  readonly id?: string
  readonly ns?: string
  readonly dev?: string
  readonly hex?: string
  readonly bind?: Endpoint | null
  readonly dst?: Endpoint | string
  readonly to?: string
  readonly len?: number
  readonly data?: string
  readonly listener?: string
  readonly timeout_s?: number
  readonly seconds?: number
  readonly command?: string
  readonly ident?: number
  readonly seq?: number
  readonly ttl?: number
  readonly payload_len?: number
  readonly sockopts?: Readonly<Record<string, number | string>>
  readonly recverr?: boolean
  readonly result?: RecordedResult
}

interface RecordedEvent {
  readonly step: number
  readonly place: string
  readonly frame: string
  readonly hex: string
  readonly len: number
  readonly mark: number | null
  readonly pkt_type: string | null
  /** At programs only. */
  readonly matched?: boolean
}

/** An entry of `final.NS.conntrack`. */
export interface RecordedConnection {
  readonly proto: string
  readonly timeout: number
  readonly state?: string
  readonly orig: Readonly<Record<string, string>>
  readonly reply: Readonly<Record<string, string>>
  readonly flags: readonly string[]
}

export interface RecordedCase {
  readonly id: string
  readonly topology: {
    readonly namespaces: Readonly<Record<string, RecordedNamespace>>
    readonly programs: readonly RecordedProgram[]
  }
  readonly ephemeral_ports?: readonly number[]
  readonly steps: readonly RecordedStep[]
  readonly events: readonly RecordedEvent[]
  readonly final: Readonly<
    Record<
      string,
      {
        readonly neighbours?: readonly string[]
        readonly counters?: Readonly<Record<string, number>>
        readonly fdb?: readonly string[]
        /** What was learned about single destinations, as `ip route show cache` has it. */
        readonly route_cache?: string
        readonly conntrack?: readonly RecordedConnection[]
        /** Rules with a hit, as `[packets] rule`, under `*table` lines. */
        readonly iptables_counters?: string
      }
    >
  >
}
