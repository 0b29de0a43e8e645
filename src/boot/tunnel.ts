// `tunnel vni 7 remote 10.0.0.2 ttl 64` as the struct bpf_tunnel_key that bpf_skb_set_tunnel_key takes.
import { writeTunnelKey } from '../bpf/context/structs.ts'
import { isIpv4 } from '../net/address.ts'
import type { Tunnel } from '../syntax/ast.ts'
import { type AddressesByName, wordValue } from './values.ts'

/** BPF_F_TUNINFO_IPV6. */
const ipv6Flag = 1

/** The struct's bytes and the helper's flags. */
export function tunnelKeyBytes(
  action: Tunnel,
  names: AddressesByName,
): { readonly key: Uint8Array; readonly flags: number } {
  const option = (name: string): ReturnType<typeof wordValue> => {
    const text = action.options.findLast((each) => each.name === name)?.values[0]?.text
    return text === undefined ? undefined : wordValue(text, names)
  }
  const number = (name: string): number => {
    const value = option(name)
    return value?.kind === 'number' ? value.value : 0
  }
  const remote = option('remote')
  const local = option('local')
  const key = writeTunnelKey({
    id: number('vni'),
    remote: remote?.kind === 'address' ? remote.address : 0,
    ...(local?.kind === 'address' ? { local: local.address } : {}),
    tos: number('tos'),
    ttl: number('ttl'),
    flags: 0,
  })
  const flags = remote?.kind === 'address' && !isIpv4(remote.address) ? ipv6Flag : 0
  return { key, flags }
}
