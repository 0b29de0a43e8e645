// http-normalize-path: what Envoy makes of a path before it asks policies (RFC 3986 section 6.2.2, merged slashes; escaped
// slashes are unescaped and the client is sent there).

/** A path, or where the client is redirected to. */
export interface NormalPath {
  readonly path: string
  readonly redirect: boolean
}

const unreserved = /[-A-Za-z0-9._~]/

/** Escapes of characters that need none. */
function unescaped(path: string): string {
  return path.replace(/%([0-9A-Fa-f]{2})/g, (whole, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return unreserved.test(character) ? character : whole.toUpperCase()
  })
}

/** RFC 3986 section 5.2.4. */
function withoutDots(path: string): string {
  const kept: string[] = []
  const parts = path.split('/')
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1
    if (part === '..') {
      if (kept.length > 1) kept.pop()
      if (isLast) kept.push('')
    } else if (part === '.') {
      if (isLast) kept.push('')
    } else kept.push(part)
  }
  return kept.join('/')
}

/** The path of a request's target with its query; the fragment goes. */
export function normalPath(target: string): NormalPath {
  const plain = target.replace(/#.*$/, '')
  const cut = plain.indexOf('?')
  const [own, query] = cut < 0 ? [plain, ''] : [plain.slice(0, cut), plain.slice(cut)]
  const slashes = own.replace(/%2f/gi, '/').replace(/%5c/gi, '\\')
  const redirect = slashes !== own
  const path = withoutDots(unescaped(slashes).replaceAll('\\', '/')).replace(/\/{2,}/g, '/')
  return { path: `${path === '' ? '/' : path}${query}`, redirect }
}
