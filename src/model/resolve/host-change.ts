// One statement of `on HOST { ... }`: a change that a running host is asked for.
import type { Change } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import type { HostChange } from '../step.ts'
import { prefixIn } from '../words/addresses.ts'
import { sysctlIn } from '../words/sysctls.ts'
import { type DeviceDraft, type HostDraft, readDevice } from '../world/entities.ts'
import { readDeviceModel } from './device.ts'
import { readFdb, readListen, readNeighbour } from './host-items.ts'
import { readIpvs } from './ipvs.ts'
import { readRoute } from './route.ts'
import { readRule } from './rule.ts'
import { readRuleset } from './ruleset.ts'
import { deviceNamed, type Scope } from './scope.ts'
import { notYet } from './unavailable.ts'

type ChangeItem = HostChange['item']

/** What no command of Linux does, and what does instead. */
const refusedVerbs: Readonly<Record<Change['verb'], Readonly<Record<string, string | undefined>>>> = {
  add: {},
  del: { sysctl: 'a setting always has a value: give it another one' },
  replace: {
    rule: '`del` the old one and `add` the new one',
    dev: '`del` the old one and `add` the new one',
    addr: '`del` the old one and `add` the new one',
    listen: '`del` the old one and `add` the new one',
    ipset: '`add` a text that says `flush` or `del`',
  },
}

/** The word by which an item is called. */
function wordOf(item: Change['item']): string {
  return item.kind === 'ruleset' ? item.tool : item.kind
}

/** What a change does to a host; nothing after a message. */
export function readChange(change: Change, host: HostDraft, scope: Scope): readonly ChangeItem[] {
  const { item, verb } = change
  const wrong = refusedVerbs[verb]?.[wordOf(item)]
  if (wrong !== undefined) {
    scope.report(
      mistake('S118', change.span, `\`${verb}\` does not go with \`${wordOf(item)}\``, { hint: wrong }),
    )
    return []
  }
  const one = <T>(value: T | undefined, make: (value: T) => ChangeItem): readonly ChangeItem[] =>
    value === undefined ? [] : [make(value)]
  const purpose = verb === 'del' ? 'del' : 'add'
  switch (item.kind) {
    case 'route':
      return one(readRoute(item, host, scope, purpose), (route) => ({ kind: 'route', route }))
    case 'rule':
      return one(readRule(item, host, scope), (rule) => ({ kind: 'rule', rule }))
    case 'neigh':
      return one(readNeighbour(item, host, scope, purpose), (neighbour) => ({ kind: 'neigh', neighbour }))
    case 'fdb':
      return one(readFdb(item, host, scope), (fdb) => ({ kind: 'fdb', fdb }))
    case 'sysctl':
      return sysctlIn(item, { devices: host.devices.keys() }, scope.report).map(({ key, value }) => ({
        kind: 'sysctl',
        key,
        value,
      }))
    case 'dev':
      for (const each of item.attachments)
        notYet(each.span, 'attaching a program to a running device', scope.report)
      return one(readDeviceModel(addedDevice(item, host, scope), host, scope), (device) => ({
        kind: 'dev',
        device,
      }))
    case 'addr': {
      const device = deviceNamed(item.device, host, scope)
      const prefix = prefixIn(item.address, scope.report)
      return device === undefined || prefix === undefined
        ? []
        : [{ kind: 'addr', device: item.device.text, prefix }]
    }
    case 'listen':
      return one(readListen(item, scope), (listen) => ({ kind: 'listen', ...listen }))
    case 'ruleset':
      return readRulesetChange(item, verb, scope)
    case 'ipvs':
      return one(readIpvs(item, 'step', scope.report), (ruleset) => ({ kind: 'ruleset', ruleset }))
    default:
      notYet(item.span, 'this change of a running host', scope.report)
      return []
  }
}

/** A device that a step makes; the scenario's places know it already. */
function addedDevice(
  item: Extract<Change['item'], { kind: 'dev' }>,
  host: HostDraft,
  scope: Scope,
): DeviceDraft {
  const known = host.devices.get(item.name.text)
  if (known?.syntax === item) return known
  return readDevice(host.name, item, { nets: scope.entities.nets, taken: new Set(), report: scope.report })
}

/** A text, or one command, which says for itself what it adds and deletes. */
function readRulesetChange(
  item: Extract<Change['item'], { kind: 'ruleset' }>,
  verb: Change['verb'],
  scope: Scope,
): readonly ChangeItem[] {
  const ruleset = readRuleset(item, 'step', scope.report)
  if (ruleset === undefined) {
    notYet(item.span, `a ruleset of ${item.tool}`, scope.report)
    return []
  }
  const saysItself = item.text.form === 'quoted' || item.tool === 'nft' || item.tool === 'xfrm'
  if (saysItself && verb !== 'add') {
    const hint = 'leave the verb out: the command says what happens'
    scope.report(mistake('S118', item.span, `\`${verb}\` does not go with a command`, { hint }))
    return []
  }
  return [{ kind: 'ruleset', ruleset }]
}
