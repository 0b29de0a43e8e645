// The order of chains: built-in ones as the kernel has them, then the others by name, as libiptc sorts them.
import { builtInChains, type TableName } from './ruleset.ts'

/** The names in the order in which iptables-save prints them. */
export function orderChains(table: TableName, names: Iterable<string>): string[] {
  const builtIn: readonly string[] = builtInChains[table]
  const others = [...names].filter((name) => !builtIn.includes(name))
  return [...builtIn, ...others.sort((left, right) => (left < right ? -1 : left > right ? 1 : 0))]
}
