// CiliumEgressGatewayPolicy of cilium.io/v2: the shape of its CRD, and what the agent refuses when it reads one (cilium
// pkg/k8s/apis/cilium.io/v2/cegp_types.go, pkg/egressgateway/policy.go ParseCEGP).
import { isIpv4, parseIp } from '../net/address.ts'
import { parsePrefix } from '../net/prefix.ts'
import { labelSelector, metadata } from './meta.ts'
import { anything, type Check, type Infer, list, object, string } from './schema.ts'

const cidr: Check<string> = (text, wrong) => {
  if (parsePrefix(text) === undefined)
    wrong(`\`${text}\` is no CIDR`, parseIp(text) === undefined ? 'such as 203.0.113.0/24' : `${text}/32`)
}

const ipv4Address: Check<string> = (text, wrong) => {
  const address = parseIp(text)
  if (address === undefined || !isIpv4(address)) wrong(`\`${text}\` is no IPv4 address`)
}

const gateway = object(
  { nodeSelector: labelSelector },
  { interface: string(), egressIP: string(ipv4Address) },
  ({ interface: device, egressIP }, wrong) => {
    if (device !== undefined && egressIP !== undefined)
      wrong(
        "gateway configuration can't specify both an interface and an egress IP",
        'the address says the interface',
        'interface',
      )
  },
)

const rule = object(
  {},
  { namespaceSelector: labelSelector, podSelector: labelSelector, nodeSelector: labelSelector },
  ({ namespaceSelector, podSelector }, wrong) => {
    if (namespaceSelector === undefined && podSelector === undefined)
      wrong(
        'cannot have both nil namespace selector and nil pod selector',
        '`podSelector: {}` selects all pods',
      )
  },
)

const spec = object(
  { selectors: list(rule), destinationCIDRs: list(string(cidr)), egressGateway: gateway },
  { excludedCIDRs: list(string(cidr)), egressGateways: list(gateway) },
)

/** kind: CiliumEgressGatewayPolicy. */
export const ciliumEgressGatewayPolicy = object({ metadata, spec }, { status: anything })
export type EgressGatewayManifest = Infer<typeof ciliumEgressGatewayPolicy>
export type EgressGateway = Infer<typeof gateway>
