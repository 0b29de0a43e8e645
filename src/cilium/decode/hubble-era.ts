// What Hubble of 1.10 does not know of a flow: fields that came later, of traces the proxy's port, and the verdict of a redirect
// (facts 7.7; pkg/hubble/parser/threefour/parser.go and api/v1/flow/flow.proto of 1.10). The rest of a flow is the same.

type Json = { readonly [name: string]: unknown }

function without(json: unknown, names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(json as Json).filter(([name]) => !names.includes(name)))
}

/** What is written otherwise of a field. */
const former: Readonly<Record<string, (value: unknown) => unknown>> = {
  verdict: (value) => (value === 'REDIRECTED' ? 'FORWARDED' : value),
  // the address before a translation stands in place of the header's
  IP: (value) => without(value, ['source_xlated']),
  source: (value) => without(value, ['cluster_name']),
  destination: (value) => without(value, ['cluster_name']),
}

/** A line of an export as 1.10 writes it, from one of 1.19. */
export function legacyFlow(line: Json): Json {
  const { flow, ...rest } = line
  const kept = without(flow, ['auth_type', 'tunnel', 'trace_reason', 'file', 'proxy_port'])
  const told = Object.entries(kept).map(([name, value]) => [name, former[name]?.(value) ?? value])
  return { flow: Object.fromEntries(told), ...rest }
}
