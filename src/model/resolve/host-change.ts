// One statement of `on HOST { ... }`: a change that a running host is asked for.
import type { Change } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import type { HostChange } from '../step.ts'
import { sysctlIn } from '../words/sysctls.ts'
import { type DeviceDraft, type HostDraft, readDevice } from '../world/entities.ts'
import { readDeviceModel } from './device.ts'
import { readFdb, readListen, readNeighbour } from './host-items.ts'
import { readRoute, readRule } from './route.ts'
import type { Scope } from './scope.ts'
import { notYet } from './unavailable.ts'

type ChangeItem = HostChange['item']

/** What no command of Linux does, and what does instead. */
const refusedVerbs: Readonly<Record<Change['verb'], Readonly<Record<string, string | undefined>>>> = {
  add: {},
  del: { sysctl: 'a setting always has a value: give it another one' },
  replace: {
    rule: '`del` the old one and `add` the new one',
    dev: '`del` the old one and `add` the new one',
    listen: '`del` the old one and `add` the new one',
  },
}

/** What a change does to a host; nothing after a message. */
export function readChange(change: Change, host: HostDraft, scope: Scope): readonly ChangeItem[] {
  const { item, verb } = change
  const wrong = refusedVerbs[verb]?.[item.kind]
  if (wrong !== undefined) {
    scope.report(
      mistake('S118', change.span, `\`${verb}\` does not go with \`${item.kind}\``, { hint: wrong }),
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
    case 'listen':
      return one(readListen(item, scope), (listen) => ({ kind: 'listen', ...listen }))
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
