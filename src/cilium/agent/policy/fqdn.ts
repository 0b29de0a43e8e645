// Names in policies: which of them a pattern matches (cilium pkg/fqdn/matchpattern).

/** A name without its final dot, in lower case. */
export function plainName(name: string): string {
  return name.replace(/\.$/, '').toLowerCase()
}

const label = '[-a-z0-9_]'

/**
 * The regular expression of a `matchPattern`: `*` is any number of characters of one label, a leading `**.` any number of
 * labels, `*` alone everything.
 */
function patternExpression(pattern: string): RegExp {
  const plain = plainName(pattern)
  if (plain === '*' || plain === '**') return /.*/
  const deep = plain.startsWith('**.')
  const rest = (deep ? plain.slice(3) : plain)
    .replace(/\*+/g, '*')
    .split('*')
    .map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'))
    .join(`${label}*`)
  return new RegExp(`^${deep ? `(?:${label}+\\.)+` : ''}${rest}$`)
}

/** Whether a name in a DNS answer is meant by `matchName` or `matchPattern`. */
export function matchesName(match: string, isPattern: boolean, name: string): boolean {
  const plain = plainName(name)
  return isPattern ? patternExpression(match).test(plain) : plainName(match) === plain
}
