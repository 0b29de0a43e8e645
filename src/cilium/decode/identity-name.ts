// Identities for people: the name of a pod where a trace binds one, else the reserved name, else the number.
import type { Names } from '../../trace/names.ts'

/** Reserved identities as Cilium prints them (facts 5.1). */
export const reservedNames: Readonly<Record<number, string>> = {
  0: 'unknown',
  1: 'host',
  2: 'world',
  3: 'unmanaged',
  4: 'health',
  5: 'init',
  6: 'remote-node',
  7: 'kube-apiserver',
  8: 'ingress',
  9: 'world-ipv4',
  10: 'world-ipv6',
}

/** `client`, `remote-node`, `10001`. */
export function identityName(identity: number, names: Names): string {
  return reservedNames[identity] ?? names.identity(identity)
}
