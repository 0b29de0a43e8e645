// Tail-call slots, metadata words, marks and flags of Cilium 1.10, as far as 1.19 has others. bpf/lib/common.h

/** CILIUM_CALL_*: slots of the private tail-call map. */
export const call = {
  DROP_NOTIFY: 1,
  SEND_ICMP6_ECHO_REPLY: 3,
  HANDLE_ICMP6_NS: 4,
  SEND_ICMP6_TIME_EXCEEDED: 5,
  ARP: 6,
  IPV4_FROM_LXC: 7,
  IPV6_FROM_LXC: 10,
  IPV4_TO_LXC_POLICY_ONLY: 11,
  IPV4_TO_HOST_POLICY_ONLY: 11,
  IPV6_TO_LXC_POLICY_ONLY: 12,
  IPV6_TO_HOST_POLICY_ONLY: 12,
  IPV4_TO_ENDPOINT: 13,
  IPV6_TO_ENDPOINT: 14,
  IPV4_NODEPORT_NAT: 15,
  IPV6_NODEPORT_NAT: 16,
  IPV4_NODEPORT_REVNAT: 17,
  IPV6_NODEPORT_REVNAT: 18,
  IPV4_ENCAP_NODEPORT_NAT: 19,
  IPV4_NODEPORT_DSR: 20,
  IPV6_NODEPORT_DSR: 21,
  IPV4_FROM_HOST: 22,
  IPV6_FROM_HOST: 23,
  IPV6_ENCAP_NODEPORT_NAT: 24,
} as const

/** Where the main path of each object begins, by family. */
export const fromLxc = { 4: call.IPV4_FROM_LXC, 6: call.IPV6_FROM_LXC } as const
/** Where the source of a service's request is translated, and of a reply the destination, by family. */
export const nodeportNat = { 4: call.IPV4_NODEPORT_NAT, 6: call.IPV6_NODEPORT_NAT } as const

/** CILIUM_CALL_SIZE */
export const callsMax = 25

/** Words of skb->cb, with their aliases. CB_* */
export const cb = {
  SRC_LABEL: 0,
  PORT: 0,
  HINT: 0,
  PROXY_MAGIC: 0,
  ENCRYPT_MAGIC: 0,
  DST_ENDPOINT_ID: 0,
  IFINDEX: 1,
  ADDR_V4: 1,
  ADDR_V6_1: 1,
  ENCRYPT_IDENTITY: 1,
  IPCACHE_SRC_LABEL: 1,
  POLICY: 2,
  ADDR_V6_2: 2,
  NAT: 3,
  ADDR_V6_3: 3,
  FROM_HOST: 3,
  CT_STATE: 4,
  ADDR_V6_4: 4,
  ENCRYPT_DST: 4,
} as const

/** MARK_MAGIC_SNAT_DONE: a packet has it when both bits are set; it shares one with the magic nibble. */
export const markSnatDone = 0x1500

/** TC_INDEX_F_SKIP_RECIRCULATION */
export const skipRecirculation = 8

/** PORT_UDP_*: ports that no pod may send to. VXLAN as Linux and as IANA have it, Geneve. */
export const encapPorts: ReadonlySet<number> = new Set([8472, 6081, 4789])

/** MARK_MAGIC_KEY_MASK: what set_identity_mark() leaves of a mark. */
const keyMask = 0xff00

/** set_identity_mark(): the mark with this identity; its two magic nibbles stay. */
export function withIdentity(mark: number, identity: number): number {
  return ((mark & keyMask) | ((identity & 0xffff) << 16) | ((identity >>> 16) & 0xff)) >>> 0
}

/** Whether a mark says that SNAT was done. */
export function isSnatDone(mark: number): boolean {
  return (mark & markSnatDone) === markSnatDone
}
