// `ip [-6] rule`, as iproute2 6.1 prints it.
import { ipProtocolName } from '../../net/protocol.ts'
import { rulesOf } from '../ip/admin-rule.ts'
import { destinationText, tableNames } from '../ip/list.ts'
import type { Rule } from '../ip/rule.ts'
import type { Namespace } from '../namespace.ts'

function range(word: string, ports: readonly [number, number] | undefined): readonly string[] {
  if (ports === undefined) return []
  const [first, last] = ports
  return [first === last ? `${word} ${first}` : `${word} ${first}-${last}`]
}

function markText({ fwmark, fwmask }: Rule): readonly string[] {
  if (fwmark === undefined) return []
  const mask = fwmask === undefined || fwmask >>> 0 === 0xffff_ffff ? '' : `/0x${(fwmask >>> 0).toString(16)}`
  return [`fwmark 0x${(fwmark >>> 0).toString(16)}${mask}`]
}

function actionText(rule: Rule): string {
  const { action } = rule
  switch (action.kind) {
    case 'lookup':
      return `lookup ${tableNames.get(action.table) ?? action.table}`
    case 'goto':
      return `goto ${action.priority}`
    case 'nop':
    case 'blackhole':
    case 'unreachable':
    case 'prohibit':
      return action.kind
  }
}

function ruleText(rule: Rule): string {
  const words = [
    ...(rule.invert === true ? ['not'] : []),
    `from ${rule.from === undefined ? 'all' : destinationText(rule.from)}`,
    ...(rule.to === undefined ? [] : [`to ${destinationText(rule.to)}`]),
    ...(rule.tos === undefined || rule.tos === 0 ? [] : [`tos 0x${rule.tos.toString(16).padStart(2, '0')}`]),
    ...markText(rule),
    ...(rule.iif === undefined ? [] : [`iif ${rule.iif}`]),
    ...(rule.oif === undefined ? [] : [`oif ${rule.oif}`]),
    ...(rule.protocol === undefined ? [] : [`ipproto ${ipProtocolName(rule.protocol)}`]),
    ...range('sport', rule.sport),
    ...range('dport', rule.dport),
    actionText(rule),
    ...(rule.suppressPrefixLength === undefined || rule.suppressPrefixLength < 0
      ? []
      : [`suppress_prefixlength ${rule.suppressPrefixLength}`]),
  ]
  return `${rule.priority}:\t${words.join(' ')}`
}

/** The rules of a family by priority, a line each. */
export function ruleLines(ns: Namespace, family: 4 | 6): readonly string[] {
  return rulesOf(ns, family).map(ruleText)
}

/** `ip rule`. */
export function showRules(ns: Namespace, family: 4 | 6): string {
  return ruleLines(ns, family)
    .map((line) => `${line}\n`)
    .join('')
}
