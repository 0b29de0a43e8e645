// How a trace says where a program sent a packet: `veth0`, `veth0 neigh`, `veth0 ingress`, `app/eth0 peer`.
import type { Redirect } from '../bpf/contract.ts'
import type { Namespace } from './namespace.ts'

function deviceText(ns: Namespace, ifindex: number): string {
  return ns.devices.get(ifindex)?.name ?? `if${ifindex}`
}

/** The target of a redirect, '' for none. */
export function redirectText(ns: Namespace, redirect: Redirect): string {
  switch (redirect.kind) {
    case 'none':
      return ''
    case 'device':
      return `${deviceText(ns, redirect.ifindex)}${redirect.ingress ? ' ingress' : ''}`
    case 'neigh':
      return `${deviceText(ns, redirect.ifindex)} neigh`
    case 'peer': {
      const peer = ns.devices.get(redirect.ifindex)?.peer
      return peer === undefined
        ? `${deviceText(ns, redirect.ifindex)} peer`
        : `${peer.ns.name}/${peer.name} peer`
    }
    case 'map':
      return redirect.broadcast === undefined
        ? deviceText(ns, redirect.ifindex)
        : redirect.broadcast.map((ifindex) => deviceText(ns, ifindex)).join(' ')
  }
}
