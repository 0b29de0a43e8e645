// Small programs: from the checked syntax to the neutral form that src/bpf runs. One instance of a program for each
// namespace that attaches it, because devices and maps belong to a namespace.
import { present, unreachable } from '../base/assert.ts'
import { codeNumber } from '../bpf/codes.ts'
import type { Program } from '../bpf/contract.ts'
import type { AnyMap } from '../bpf/maps/create.ts'
import type { MapSpec } from '../bpf/maps/map.ts'
import { ProgArray } from '../bpf/maps/prog-array.ts'
import { loadSmall, type SmallCode, translateSmall } from '../bpf/small/compile.ts'
import type { IrAction, IrRule, MapShape, SmallIr } from '../bpf/small/ir.ts'
import { progArrayUpdate } from '../bpf/user.ts'
import type { ProgramModel } from '../model/program.ts'
import { redirectMapFlags } from '../model/words/map-flags.ts'
import { isIpv4 } from '../net/address.ts'
import type { Action, MapDeclaration, ProgramRule } from '../syntax/ast.ts'
import { exprOf, fieldName } from './expressions.ts'
import { type MapPlan, makeMap, type PinnedMaps, planMap } from './maps.ts'
import { type Build, mapIndex, type ProgramPlace } from './program-build.ts'
import { testOf } from './tests.ts'
import { tunnelKeyBytes } from './tunnel.ts'
import { isNetworkOrder, valueOfWord } from './values.ts'

/** A program with its maps, ready to be attached. */
export interface BootedProgram {
  readonly program: Program
  readonly maps: ReadonlyMap<string, AnyMap>
  /** What it was made from: scn verify compiles it for the real kernel. Absent while a program is being made. */
  readonly ir?: SmallIr
}

/** What a namespace of a running machine gives to its programs. */
export interface ProgramSurroundings {
  /** Maps that programs of the same node share. */
  readonly pins: PinnedMaps
  /** Another program of the same namespace, for tail calls. */
  readonly other: (name: string) => BootedProgram
}

/** A program translated for one namespace: immutable, and the same in all cases of a world. */
export interface ProgramPlan {
  readonly ir: Omit<SmallIr, 'maps'> & { readonly maps: readonly MapShape[] }
  readonly code: SmallCode
  readonly maps: readonly MapPlan[]
  /** Programs called by name: each gets an array of one slot behind the declared maps. */
  readonly tails: readonly string[]
}

const kernelType = {
  xdp: 'xdp',
  tc: 'sched_cls',
  'cgroup/ingress': 'cgroup_skb',
  'cgroup/egress': 'cgroup_skb',
} as const satisfies Record<ProgramModel['type'], Build['type']>

/** XDP_PASS, TC_ACT_UNSPEC, and yes. */
const ends = { xdp: 2, sched_cls: -1, cgroup_skb: 1 } as const

/** Translates a program for a namespace. */
export function planProgram(model: ProgramModel, place: ProgramPlace): ProgramPlan {
  const declarations = model.body.items.filter((item): item is MapDeclaration => item.kind === 'map')
  const maps = model.maps.map((each) => {
    const declaration = present(
      declarations.find((item) => item.name.text === each.name),
      `map ${each.name} is declared`,
    )
    return planMap(each, declaration, place.names, place.deviceIndex)
  })
  const shapes = maps.map(
    ({ model: each, spec }): MapShape => ({
      map: { spec },
      keyOrder: isNetworkOrder(each.keyType) ? 'be' : 'le',
      valueOrder: isNetworkOrder(each.valueType) ? 'be' : 'le',
    }),
  )
  const type = kernelType[model.type]
  const build: Build = { type, maps: model.maps, shapes, tails: [], surroundings: place }
  const rules = model.body.items
    .filter((item): item is ProgramRule => item.kind === 'program-rule')
    .map((rule) => ruleOf(rule, build))
  const ir = {
    name: model.name,
    type,
    maps: shapes,
    rules,
    otherwise: ends[type],
    ...(model.type === 'cgroup/egress' ? { egress: true } : {}),
  } as const
  return { ir, code: translateSmall(ir), maps, tails: build.tails }
}

/** Makes an instance of a program with maps of its own. */
export function bootProgram(plan: ProgramPlan, { pins, other }: ProgramSurroundings): BootedProgram {
  const maps = new Map<string, AnyMap>()
  const all: AnyMap[] = []
  for (const each of plan.maps) {
    const map = makeMap(each, pins)
    if (map instanceof ProgArray)
      for (const { slot, program } of each.programs) progArrayUpdate(map, slot, other(program).program)
    maps.set(each.model.name, map)
    all.push(map)
  }
  for (const name of plan.tails) {
    const array = new ProgArray(tailSpec(name))
    progArrayUpdate(array, 0, other(name).program)
    all.push(array)
  }
  const ir = {
    ...plan.ir,
    maps: plan.ir.maps.map((shape, index) => ({ ...shape, map: present(all[index], 'made') })),
  }
  return { program: loadSmall(plan.code, all), maps, ir }
}

function ruleOf(rule: ProgramRule, build: Build): IrRule {
  const code = rule.code.text === 'continue' ? 'continue' : codeOf(rule.code.text, build)
  const actions = rule.actions.flatMap((action) => actionsOf(action, build))
  return rule.test === null ? { actions, code } : { test: testOf(rule.test, build), actions, code }
}

function codeOf(text: string, build: Build): number {
  const number = Number(text)
  if (Number.isInteger(number)) return number
  return present(codeNumber(build.type, text), `${text} is a return code`)
}

/** One statement of a rule; `swap eth ip` is several actions. */
function actionsOf(action: Action, build: Build): IrAction[] {
  const { surroundings } = build
  switch (action.kind) {
    case 'swap':
      return action.layers.map(({ text }) => ({ kind: 'swap', layer: text as 'eth' }))
    case 'set-field':
      return [{ kind: 'set', field: fieldName(action.field), value: exprOf(action.value, build) }]
    case 'redirect':
      return [redirectOf(action, build)]
    case 'redirect-map': {
      const preset = action.options.findLast(({ name }) => name === 'default')?.values[0]?.text
      const behind = action.options.findLast(({ name }) => name === 'flags')?.values[0]?.text
      const flags = (preset === undefined ? 0 : codeOf(preset, build)) | (redirectMapFlags[behind ?? ''] ?? 0)
      const { map, key } = action.entry
      return [{ kind: 'redirect-map', map: mapIndex(map.text, build), key: exprOf(key, build), flags }]
    }
    case 'count': {
      const { map, key } = action.entry
      const by = action.by === null ? ({ kind: 'number', value: 1 } as const) : exprOf(action.by, build)
      return [{ kind: 'count', map: mapIndex(map.text, build), key: exprOf(key, build), by }]
    }
    case 'update': {
      const { map, key } = action.entry
      return [
        {
          kind: 'update',
          map: mapIndex(map.text, build),
          key: exprOf(key, build),
          value: exprOf(action.value, build),
        },
      ]
    }
    case 'delete-entry':
      return [
        { kind: 'delete', map: mapIndex(action.entry.map.text, build), key: exprOf(action.entry.key, build) },
      ]
    case 'tail-call':
      return [tailCallOf(action.target, build)]
    case 'resize': {
      const bytes = action.bytes.kind === 'word' ? Number(action.bytes.text) : 0
      const part = action.part.slice('adjust-'.length) as 'head'
      return [{ kind: 'adjust', part, bytes }]
    }
    case 'vlan':
      return [
        action.vlan === null ? { kind: 'pop-vlan' } : { kind: 'push-vlan', id: exprOf(action.vlan, build) },
      ]
    case 'tunnel':
      return [{ kind: 'tunnel', ...tunnelKeyBytes(action, surroundings.names) }]
    case 'emit': {
      const quoted =
        action.value.kind === 'word' && action.value.form !== 'bare'
          ? new TextEncoder().encode(action.value.text)
          : undefined
      return [
        { kind: 'emit', map: mapIndex(action.map.text, build), value: quoted ?? exprOf(action.value, build) },
      ]
    }
  }
  return unreachable(action)
}

function redirectOf(action: Extract<Action, { kind: 'redirect' }>, { surroundings }: Build): IrAction {
  const number = Number(action.device.text)
  const ifindex = Number.isInteger(number) ? number : surroundings.deviceIndex(action.device.text)
  const ingress = action.direction === 'ingress'
  switch (action.helper) {
    case 'redirect':
      return { kind: 'redirect', ifindex, ingress }
    case 'clone-redirect':
      return { kind: 'clone-redirect', ifindex, ingress }
    case 'redirect-peer':
      return { kind: 'redirect-peer', ifindex }
    case 'redirect-neigh': {
      if (action.via === null) return { kind: 'redirect-neigh', ifindex }
      const via = valueOfWord(action.via.text, surroundings.names)
      if (via.kind !== 'address') return { kind: 'redirect-neigh', ifindex }
      const nextHop = isIpv4(via.address) ? (via.address as number) : via.address
      return { kind: 'redirect-neigh', ifindex, nextHop }
    }
  }
}

/** `tail-call jumps[2]`, or `tail other`: slot 0 of an array that holds just that program. */
function tailCallOf(target: Extract<Action, { kind: 'tail-call' }>['target'], build: Build): IrAction {
  if (target.kind === 'map-entry') {
    return { kind: 'tail-call', map: mapIndex(target.map.text, build), index: exprOf(target.key, build) }
  }
  build.shapes.push({ map: { spec: tailSpec(target.text) }, keyOrder: 'le', valueOrder: 'le' })
  build.tails.push(target.text)
  return { kind: 'tail-call', map: build.shapes.length - 1, index: { kind: 'number', value: 0 } }
}

/** The array behind `tail NAME`. */
function tailSpec(name: string): MapSpec & { readonly type: 'prog_array' } {
  return { name: `tail ${name}`, type: 'prog_array', keySize: 4, valueSize: 4, maxEntries: 1 }
}
