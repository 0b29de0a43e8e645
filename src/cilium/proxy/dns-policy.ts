// Whether a query is allowed, as the agent's DNS proxy asks the policy of the endpoint that sent it (pkg/fqdn/dnsproxy
// CheckAllowed): rules of the server's port, each for some servers.
import { matchesName } from '../agent/policy/fqdn.ts'
import type { Redirect } from '../agent/policy/resolve.ts'

/** Whether a rule for the server with this identity has the name. A rule without names is one for every name. */
export function allowQuery(redirects: readonly Redirect[], server: number, name: string): boolean {
  return redirects
    .flatMap(({ rules }) => rules)
    .filter(({ identities }) => identities === undefined || identities.includes(server))
    .some(
      ({ dns }) =>
        dns.length === 0 ||
        dns.some(({ matchName, matchPattern }) =>
          matchName === undefined
            ? matchesName(matchPattern ?? '', true, name)
            : matchesName(matchName, false, name),
        ),
    )
}
