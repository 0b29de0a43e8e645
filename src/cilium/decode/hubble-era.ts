// What Hubble of 1.10 does not know of a flow: fields that came later, and the verdict of a redirect (facts 7.7). The rest of
// a flow is the same.

type Json = { readonly [name: string]: unknown }

const laterFields: ReadonlySet<string> = new Set(['auth_type', 'tunnel', 'trace_reason', 'file'])

/** A line of an export as 1.10 writes it, from one of 1.19. */
export function legacyFlow(line: Json): Json {
  const { flow, ...rest } = line as { readonly flow: Json } & Json
  const kept = Object.entries(flow)
    .filter(([name]) => !laterFields.has(name))
    .map(([name, value]) => [name, name === 'verdict' && value === 'REDIRECTED' ? 'FORWARDED' : value])
  return { flow: Object.fromEntries(kept), ...rest }
}
