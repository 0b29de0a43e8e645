// Fields that share a list in the grammar but belong to one header only: tunnels, extension headers, ICMP.
import type { Layer } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import type { Scope } from './scope.ts'
import { optionsNotYet } from './unavailable.ts'

const own: Readonly<Record<string, readonly string[]>> = {
  vxlan: ['vni', 'flags', 'gbp'],
  geneve: ['vni', 'proto', 'flags', 'options'],
  gre: ['proto', 'key', 'flags'],
  hop: ['nexthdr', 'len', 'options'],
  icmp: ['type', 'code', 'id', 'seq', 'mtu', 'gateway', 'target', 'checksum'],
  icmp6: ['type', 'code', 'id', 'seq', 'mtu', 'target', 'lladdr', 'checksum'],
  frag: ['nexthdr', 'offset', 'id', 'mf'],
}

/** Fields of headers that exist, and that no packet can be given yet. */
const later: Readonly<Record<string, readonly string[]>> = {
  geneve: ['flags', 'options'],
  hop: ['nexthdr', 'len', 'options'],
  icmp6: ['lladdr'],
}

/** Words that stand for the same four bytes of an ICMP header. */
const restOfIcmp: readonly (readonly string[])[] = [['id', 'seq'], ['mtu'], ['gateway']]

function article(word: string): string {
  return /^[aeiou]/.test(word) ? 'an' : 'a'
}

/** Reports fields that a layer does not have, or that nothing puts into it yet. */
export function checkLayerFields(layer: Layer, { report }: Scope): void {
  const names = own[layer.name]
  for (const field of layer.fields) {
    if (names === undefined || names.includes(field.name)) continue
    const hint = `it has ${names.map((name) => `\`${name}\``).join(', ')}`
    report(
      mistake('S142', field.span, `${article(layer.name)} ${layer.name} header has no \`${field.name}\``, {
        hint,
      }),
    )
  }
  optionsNotYet(layer.fields, later[layer.name] ?? [], report)
  if (layer.name !== 'icmp' && layer.name !== 'icmp6') return
  const used = restOfIcmp.filter((group) => layer.fields.some(({ name }) => group.includes(name)))
  const extra = layer.fields.find(({ name }) => used[1]?.includes(name))
  if (extra === undefined) return
  const hint = `\`${used[0]?.[0] ?? ''}\` fills those bytes already`
  report(mistake('S142', extra.span, `\`${extra.name}\` says it again`, { hint }))
}
