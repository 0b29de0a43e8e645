// NetworkPolicy of networking.k8s.io/v1, as the API server checks it (kubernetes pkg/apis/networking/validation).
import { covers, networkOf, parsePrefix } from '../net/prefix.ts'
import { labelSelector, metadata } from './meta.ts'
import {
  anything,
  type Check,
  type Infer,
  integer,
  intOrString,
  list,
  object,
  oneOf,
  string,
} from './schema.ts'

const cidr: Check<string> = (text, wrong) => {
  const prefix = parsePrefix(text)
  if (prefix === undefined) wrong(`\`${text}\` is no CIDR`, 'such as 10.0.0.0/8 or fd00::/8')
}

const ipBlock = object(
  { cidr: string(cidr) },
  { except: list(string(cidr)) },
  ({ cidr: own, except }, wrong) => {
    const whole = parsePrefix(own)
    if (whole === undefined) return
    for (const text of except ?? []) {
      const part = parsePrefix(text)
      if (part === undefined) continue
      if (!covers(networkOf(whole), part.address) || part.length <= whole.length) {
        wrong(`\`${text}\` is not a strict part of ${own}`, undefined, 'except')
      }
    }
  },
)

const peer = object(
  {},
  { podSelector: labelSelector, namespaceSelector: labelSelector, ipBlock },
  (value, wrong) => {
    const selects = value.podSelector !== undefined || value.namespaceSelector !== undefined
    if (value.ipBlock !== undefined && selects) {
      wrong('`ipBlock` does not go with `podSelector` or `namespaceSelector`', 'make two peers of it')
    }
    if (value.ipBlock === undefined && !selects) {
      wrong(
        'a peer has `podSelector`, `namespaceSelector` or `ipBlock`',
        'leave the list out to allow everything',
      )
    }
  },
)

/** IANA service names, which ports may have instead of a number. */
export const serviceName = /^(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/i

const portNumber: Check<number | string> = (port, wrong) => {
  const fits = typeof port === 'number' ? port >= 1 && port <= 65535 : serviceName.test(port)
  if (!fits)
    wrong(`\`${port}\` is no port`, 'a number up to 65535 without quotes, or the name of a container port')
}

const port = object(
  {},
  { protocol: oneOf(['TCP', 'UDP', 'SCTP']), port: intOrString(portNumber), endPort: integer(1, 65535) },
  (value, wrong) => {
    if (value.endPort === undefined) return
    if (typeof value.port !== 'number')
      wrong('`endPort` needs a `port` that is a number', undefined, 'endPort')
    else if (value.endPort < value.port) wrong('`endPort` is below `port`', undefined, 'endPort')
  },
)

const spec = object(
  {},
  {
    podSelector: labelSelector,
    ingress: list(object({}, { from: list(peer), ports: list(port) })),
    egress: list(object({}, { to: list(peer), ports: list(port) })),
    policyTypes: list(oneOf(['Ingress', 'Egress'])),
  },
)

/** kind: NetworkPolicy. */
export const networkPolicy = object({ metadata, spec }, { status: anything })
export type NetworkPolicyManifest = Infer<typeof networkPolicy>
export type NetworkPolicyPeer = Infer<typeof peer>
export type NetworkPolicyPort = Infer<typeof port>
