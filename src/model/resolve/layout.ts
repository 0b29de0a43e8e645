// How keys and values of maps lie in memory, and what of them can be told from the text of a program.
import { isIpv4, parseIp } from '../../net/address.ts'
import { parseMac } from '../../net/mac.ts'
import { parsePrefix } from '../../net/prefix.ts'
import type { Expr } from '../../syntax/ast.ts'
import { fieldInfo } from '../words/fields.ts'
import { integerOf } from '../words/numbers.ts'
import { addressesOf } from '../world/entities.ts'
import type { Scope } from './scope.ts'

/** Bytes of every layout that has a name. `prefix` is struct bpf_lpm_trie_key with an IPv4 address, `prefix6` with IPv6. */
const sizes: Readonly<Record<string, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  ipv4: 4,
  ipv6: 16,
  mac: 6,
  port: 2,
  prefix: 8,
  prefix6: 20,
  ifindex: 4,
  prog: 4,
  cpu: 4,
  none: 0,
}

/** The names of layouts, for suggestions. */
export const layoutNames: readonly string[] = Object.keys(sizes)

/** The size of a layout in bytes, `u8[16]` too; undefined for a name that there is not. */
export function layoutBytes(name: string): number | undefined {
  const match = /^([a-z0-9]+)\[([0-9]+)\]$/.exec(name)
  const each = sizes[match?.[1] ?? name]
  if (each === undefined || !Object.hasOwn(sizes, match?.[1] ?? name)) return undefined
  return match === null ? each : each * Number(match[2])
}

/** The layout that an expression's value has by itself; undefined for a bare number, which takes any. */
export function layoutOf(expr: Expr | undefined, scope: Scope): string | undefined {
  if (expr === undefined) return undefined
  if (expr.kind === 'field') return layoutOfField(expr.path)
  if (expr.kind === 'arithmetic') return layoutOf(expr.left, scope) ?? layoutOf(expr.right, scope)
  if (expr.kind !== 'word') return undefined
  const { text } = expr
  const address = parseIp(text)
  if (address !== undefined) return isIpv4(address) ? 'ipv4' : 'ipv6'
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return isIpv4(prefix.address) ? 'prefix' : 'prefix6'
  if (parseMac(text) !== undefined) return 'mac'
  const host = scope.entities.hosts.get(text)
  const first = host === undefined ? undefined : addressesOf(host)[0]
  if (first !== undefined) return isIpv4(first) ? 'ipv4' : 'ipv6'
  return undefined
}

function layoutOfField(path: string): string | undefined {
  const info = fieldInfo(path)
  switch (info?.kind) {
    case 'address':
      return info.family === 6 ? 'ipv6' : 'ipv4'
    case 'mac':
      return 'mac'
    case 'number':
    case 'boolean':
    case 'flags':
      return info.max <= 0xff ? 'u8' : info.max <= 0xffff ? 'u16' : 'u32'
    default:
      return undefined
  }
}

/** Whether a key or value as written can stand in a layout. */
export function fits(expr: Expr, layout: string, scope: Scope): boolean {
  if (expr.kind !== 'word') return true
  const own = layoutOf(expr, scope)
  if (own !== undefined) {
    if (layout === 'prefix') return own === 'prefix' || own === 'ipv4'
    if (layout === 'prefix6') return own === 'prefix6' || own === 'ipv6'
    return own === layout || (own === 'ipv4' && layout === 'u32') || layout.includes('[')
  }
  const number = integerOf(expr.text)
  if (number === undefined) return layout === 'ifindex' || layout === 'prog' || layout.includes('[')
  if (layout === 'prefix' || layout === 'prefix6' || layout === 'ipv6') return false
  const bytes = layoutBytes(layout) ?? 8
  return number >= 0 && (bytes >= 7 || number < 2 ** (8 * bytes))
}
