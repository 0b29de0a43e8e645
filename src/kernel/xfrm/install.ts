// IPsec as a part of a machine (xfrm_init), and what a person or an agent changes in it: `ip xfrm`.
import { ipProtocol } from '../../net/protocol.ts'
import type { Machine } from '../machine.ts'
import type { Namespace } from '../namespace.ts'
import { loadEsp } from './input.ts'
import { transform } from './output.ts'
import type { Policy } from './policy.ts'
import type { StateSpec, StateTable } from './state.ts'
import { type XfrmTables, xfrmChanged, xfrmOf } from './tables.ts'

/** Registers what routes that transform call. */
export function installXfrm(machine: Machine): void {
  machine.ipStack.transform = transform
}

/** One line of `ip xfrm`. */
export type XfrmCommand =
  | { readonly object: 'policy'; readonly verb: 'add' | 'update'; readonly policy: Policy }
  | {
      readonly object: 'policy'
      readonly verb: 'delete'
      readonly policy: Pick<Policy, 'direction' | 'selector' | 'mark'>
    }
  | { readonly object: 'state'; readonly verb: 'add' | 'update'; readonly state: StateSpec }
  | {
      readonly object: 'state'
      readonly verb: 'delete'
      readonly state: Pick<StateSpec, 'destination' | 'protocol' | 'spi' | 'mark'>
    }
  | { readonly object: 'policy'; readonly verb: 'flush' }
  | { readonly object: 'state'; readonly verb: 'flush' }

/** What the kernel answers: it is there already, there is no such policy, there is no such state. */
export type Refusal = 'EEXIST' | 'ENOENT' | 'ESRCH'

function changeStates(
  states: StateTable,
  command: Extract<XfrmCommand, { object: 'state' }>,
): 'ok' | Refusal {
  if (command.verb === 'flush') {
    states.clear()
    return 'ok'
  }
  if (command.verb === 'delete') return states.remove(command.state)
  return command.verb === 'update' ? states.update(command.state) : states.add(command.state)
}

/** `ip xfrm state|policy add|update|delete|flush` on tables: answers as the kernel does. */
export function changeTables({ policies, states }: XfrmTables, command: XfrmCommand): 'ok' | Refusal {
  if (command.object === 'state') return changeStates(states, command)
  if (command.verb === 'flush') {
    policies.clear()
    return 'ok'
  }
  if (command.verb === 'delete') return policies.remove(command.policy)
  return policies.insert(command.policy, command.verb === 'add')
}

/** The same on a host that runs; a state of ESP brings its module along. */
export function changeXfrm(ns: Namespace, command: XfrmCommand): 'ok' | Refusal {
  const adds = command.object === 'state' && (command.verb === 'add' || command.verb === 'update')
  if (adds && command.state.protocol === ipProtocol.esp) loadEsp(ns.machine)
  xfrmChanged(ns)
  return changeTables(xfrmOf(ns), command)
}
