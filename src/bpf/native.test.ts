import { describe, expect, expectTypeOf, test } from 'vitest'
import type { RunContext } from './contract.ts'
import { closeObject } from './lifetime.ts'
import { type LoadedProgram, loadProgram } from './load.ts'
import { indexKey } from './maps/array-map.ts'
import { createMap, type MapOf } from './maps/create.ts'
import { layoutOf } from './maps/layout.ts'
import type { MapSpec } from './maps/map.ts'
import type { ProgArray } from './maps/prog-array.ts'
import { defineProgram } from './native.ts'
import { Pins } from './pins.ts'
import { runProgram } from './run.ts'
import { recording, tcContext, xdpContext } from './test-support/contexts.ts'

const counters = {
  name: 'counters',
  type: 'hash',
  keySize: 4,
  valueSize: 4,
  maxEntries: 4,
  keyLayout: layoutOf('u32'),
  valueLayout: layoutOf('u32'),
} as const satisfies MapSpec

const jumps = {
  name: 'jumps',
  type: 'prog_array',
  keySize: 4,
  valueSize: 4,
  maxEntries: 2,
} as const satisfies MapSpec

function progArray(): ProgArray {
  const made = createMap(jumps, { cpus: 1 })
  if (made.kind === 'refused') throw new Error(made.errno)
  return made.map
}

const frame = Uint8Array.from({ length: 60 }, (_, at) => at)

const counting = defineProgram({
  name: 'counting',
  type: 'xdp',
  uses: ['map_lookup_elem', 'map_update_elem'],
  maps: { counters },
  run: (context, helpers, maps) => {
    const key = indexKey(context.packet.u8(0))
    const value = helpers.map_lookup_elem(maps.counters, key)
    if (value === undefined) helpers.map_update_elem(maps.counters, key, indexKey(1), 1)
    else value[0] = (value[0] ?? 0) + 1
    return 2
  },
})

function loaded<Result extends { readonly kind: string }>(
  result: Result,
): Extract<Result, { readonly kind: 'loaded' }> {
  if (result.kind !== 'loaded') throw new Error(JSON.stringify(result))
  return result as Extract<Result, { readonly kind: 'loaded' }>
}

test('a write through a looked-up pointer shows as a map change, like an update', () => {
  const { program } = loaded(loadProgram(counting, { cpus: 1 }))
  for (const expected of ['map counters 0: - -> 1', 'map counters 0: 1 -> 2']) {
    const { trace, facts } = recording({ full: false })
    expect(runProgram(program, xdpContext(frame, { trace }))).toBe(2)
    expect(facts()).toEqual([expected])
  }
})

test('a full trace has lookups and helper calls, with -ENOENT for a miss', () => {
  const { program } = loaded(loadProgram(counting, { cpus: 1 }))
  const { trace, facts } = recording({ full: true })
  runProgram(program, xdpContext(frame, { trace }))
  expect(facts()).toEqual([
    'lookup counters 0 = -',
    'bpf_map_update_elem(counters, 0x00000000, 0x01000000, 1) = 0',
    'map counters 0: - -> 1',
  ])
})

describe('a fault ends the run, names program and mistake, and stops the packet', () => {
  const faulty = (type: 'xdp' | 'sched_cls', run: (context: RunContext) => void): LoadedProgram => ({
    ...loaded(loadProgram(counting, { cpus: 1 })).program,
    name: 'bad',
    type,
    run: (context) => {
      run(context)
      return 2
    },
  })

  test('a read past the packet', () => {
    const definition = defineProgram({
      name: 'bad',
      type: 'xdp',
      uses: [],
      maps: {},
      run: (context) => context.packet.u32(58),
    })
    const { program } = loaded(loadProgram(definition, { cpus: 1 }))
    const { trace, facts } = recording({ full: false })
    const context = xdpContext(frame, { trace })
    expect(runProgram(program, context)).toBe(0)
    const message = 'invalid read of 4 bytes: packet: offset 58, valid size is 60'
    expect(context.fault).toEqual({ program: 'bad', message })
    expect(facts()).toEqual([`fault: bad: ${message}`])
  })

  test('a write to a field that tc programs may only read', () => {
    const definition = defineProgram({
      name: 'bad',
      type: 'sched_cls',
      uses: [],
      maps: {},
      run: (context) => {
        context.mark = 7
        Object.assign(context, { tc_index: 5 })
        return context.packet.u8(0)
      },
    })
    const context = tcContext(frame)
    expect(runProgram(loaded(loadProgram(definition, { cpus: 1 })).program, context)).toBe(0)
    expect([context.skb.mark, context.skb.tcIndex, context.fault]).toEqual([7, 5, undefined])
  })

  test('the next program on the same context starts without it', () => {
    const context = xdpContext(new Uint8Array(0))
    const { program } = loaded(loadProgram(counting, { cpus: 1 }))
    runProgram(program, context)
    expect(context.fault?.program).toBe('counting')
    runProgram({ name: 'good', type: 'xdp', run: () => 2 }, context)
    expect(context.fault).toBeUndefined()
  })

  test('our own mistakes are not swallowed', () => {
    const program = faulty('xdp', () => {
      throw new TypeError('ours')
    })
    expect(() => runProgram(program, xdpContext(frame))).toThrow(TypeError)
  })
})

describe('helpers of another type', () => {
  test('are refused at load, by name', () => {
    const definition = defineProgram({
      name: 'x',
      type: 'xdp',
      uses: ['redirect_peer'],
      maps: {},
      run: () => 2,
    })
    expect(loadProgram(definition, { cpus: 1 })).toEqual({
      kind: 'refused',
      errno: 'EINVAL',
      message: 'program of type xdp cannot use helper bpf_redirect_peer#155',
    })
  })

  test('and at the call, when a program gets past its own declaration', () => {
    const definition = defineProgram({
      name: 'x',
      type: 'xdp',
      uses: ['redirect'],
      maps: {},
      run: (_context, helpers) => {
        expectTypeOf(helpers).not.toHaveProperty('redirect_peer')
        return (helpers as unknown as { redirect_peer(ifindex: number): number }).redirect_peer(3)
      },
    })
    const context = xdpContext(frame)
    runProgram(loaded(loadProgram(definition, { cpus: 1 })).program, context)
    expect(context.fault?.message).toBe('program of type xdp cannot use helper bpf_redirect_peer#155')
  })

  test('one that is not declared is not there either', () => {
    const definition = defineProgram({
      name: 'x',
      type: 'xdp',
      uses: [],
      maps: {},
      run: (_context, helpers) => (helpers as unknown as { redirect(ifindex: number): number }).redirect(3),
    })
    const context = xdpContext(frame)
    runProgram(loaded(loadProgram(definition, { cpus: 1 })).program, context)
    expect(context.fault?.message).toBe('helper bpf_redirect is not declared in uses')
  })
})

describe('tail calls', () => {
  const looping = (table: ProgArray): { readonly program: LoadedProgram; readonly runs: () => number } => {
    let runs = 0
    const definition = defineProgram({
      name: 'looping',
      type: 'sched_cls',
      uses: ['tail_call'],
      maps: { jumps },
      run: (_context, helpers, maps) => {
        runs += 1
        helpers.tail_call(maps.jumps, 0)
        return 9
      },
    })
    return {
      program: loaded(loadProgram(definition, { cpus: 1, given: { jumps: table } })).program,
      runs: () => runs,
    }
  }

  // observed on Linux 6.18: 34 runs
  test('a chain has at most 34 programs, then the call falls through', () => {
    const table = progArray()
    const { program, runs } = looping(table)
    expect(table.set(0, program, 0)).toBe(0)
    expect(runProgram(program, tcContext(frame))).toBe(9)
    expect(runs()).toBe(34)
  })

  test('an empty slot falls through and shows', () => {
    const { program, runs } = looping(progArray())
    const { trace, facts } = recording({ full: false })
    expect(runProgram(program, tcContext(frame, { trace }))).toBe(9)
    expect([runs(), facts()]).toEqual([1, ['tail jumps[0] -']])
  })

  test('nothing behind a call that succeeds runs; the code is that of the last program', () => {
    const table = progArray()
    const { program, runs } = looping(table)
    table.set(0, { name: 'end', type: 'sched_cls', run: () => 2 }, 0)
    expect(runProgram(program, tcContext(frame))).toBe(2)
    expect(runs()).toBe(1)
  })

  test('a program of another type is not let in', () => {
    const table = progArray()
    const { program } = looping(table)
    expect(table.set(0, { name: 'other', type: 'xdp', run: () => 2 }, 0)).toBe(-22)
    expect(table.set(2, program, 0)).toBe(-7)
    expect(table.set(0, program, 1)).toBe(-22)
    expect([table.remove(0), table.remove(2)]).toEqual([-2, -7])
    const xdp = defineProgram({ name: 'x', type: 'xdp', uses: [], maps: { jumps }, run: () => 2 })
    expect(loadProgram(xdp, { cpus: 1, given: { jumps: table } }).kind).toBe('refused')
  })
})

describe('lifetimes', () => {
  test('a map lives while a pin, a descriptor or a program refers to it', () => {
    const pins = new Pins()
    const { program, maps } = loaded(loadProgram(counting, { cpus: 1 }))
    expect([pins.pin('/sys/fs/bpf/c', maps.counters), pins.pin('/sys/fs/bpf/c', maps.counters)]).toEqual([
      0, -17,
    ])
    closeObject(maps.counters)
    closeObject(program)
    expect([program.references.freed, maps.counters.references.freed]).toEqual([true, false])
    const again = pins.open('/sys/fs/bpf/c')
    expect(again).toBe(maps.counters)
    expect([pins.unpin('/sys/fs/bpf/c'), pins.unpin('/sys/fs/bpf/c')]).toEqual([0, -2])
    expect(maps.counters.references.freed).toBe(false)
    closeObject(maps.counters)
    expect(maps.counters.references.freed).toBe(true)
  })

  test('a pinned map is shared between programs of different types', () => {
    const first = loaded(loadProgram(counting, { cpus: 1 }))
    const reading = defineProgram({
      name: 'reading',
      type: 'sched_cls',
      uses: ['map_lookup_elem'],
      maps: { seen: counters },
      run: (context, helpers, maps) =>
        helpers.map_lookup_elem(maps.seen, indexKey(context.packet.u8(0)))?.[0] ?? -1,
    })
    const second = loaded(loadProgram(reading, { cpus: 1, given: { seen: first.maps.counters } }))
    expect(runProgram(second.program, tcContext(frame))).toBe(-1)
    runProgram(first.program, xdpContext(frame))
    runProgram(first.program, xdpContext(frame))
    expect(runProgram(second.program, tcContext(frame))).toBe(2)
  })

  test('a map that does not fit its declaration is refused', () => {
    const made = createMap({ ...counters, valueSize: 8 }, { cpus: 1 })
    const given = made.kind === 'made' ? { counters: made.map } : {}
    expect(loadProgram(counting, { cpus: 1, given })).toMatchObject({ kind: 'refused', errno: 'EINVAL' })
  })

  test('a program array without user references is emptied, though a program still uses it', () => {
    const table = progArray()
    table.references.hold()
    table.set(0, { name: 'end', type: 'sched_cls', run: () => 2 }, 0)
    closeObject(table)
    expect([table.references.freed, table.get(0)]).toEqual([false, undefined])
  })

  test('a slot keeps a program alive', () => {
    const table: MapOf<'prog_array'> = progArray()
    const { program } = loaded(loadProgram(counting, { cpus: 1 }))
    table.set(0, program, 0)
    closeObject(program)
    expect(program.references.freed).toBe(false)
    table.remove(0)
    expect(program.references.freed).toBe(true)
  })
})
