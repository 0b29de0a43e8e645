// What a trace costs. The kernel runs with tracing off, and at every level with the text written; and it runs beside a
// copy of itself from whose source every use of the recorder was cut, which is what "costs nothing when off" means.
import { readFileSync } from 'node:fs'
import type { Plugin } from 'esbuild'
import type { Level } from '../src/trace/event.ts'
import { bundled } from './bundle.ts'
import { measureWork, type Work } from './interleave.ts'
import type * as Scenes from './scene.ts'
import { estimate, ratio } from './statistics.ts'
import type { Row } from './table.ts'

const packets = 200

/** Takes the recorder out of the kernel's and the programs' source. */
const cutTrace: Plugin = {
  name: 'cut-trace',
  setup(setup) {
    setup.onLoad({ filter: /src[/\\](kernel|bpf)[/\\].*\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8')
        .replaceAll(/const \{ trace \} = [\w.]*\bmachine\b/g, 'const trace = undefined')
        .replaceAll(/(?<![\w.])(?:\w+\.)*(?:machine|context|this)\.trace\b(?!\s*=[^=])/g, 'undefined'),
    }))
  },
}

function offRows(whole: typeof Scenes, cut: typeof Scenes): Row[] {
  const pieces = [
    { name: 'off', scenes: whole },
    { name: 'off again', scenes: whole },
    { name: 'cut', scenes: cut },
  ].map(({ name, scenes }): Work => {
    const world = scenes.worldOf(10)
    const scene = scenes.sceneOf(world, scenes.bootWorld(world))
    return { name, run: () => scene.send(packets * 2) }
  })
  const times = measureWork(pieces, { rounds: 100, warm: 40 })
  const off = times.get('off')!
  return [
    { measure: 'trace off against itself (noise)', estimate: ratio(times.get('off again')!, off), unit: 'x' },
    {
      measure: 'trace off against no trace code',
      estimate: ratio(off, times.get('cut')!),
      unit: 'x',
      target: 1.05,
    },
  ]
}

function levelRows(scenes: typeof Scenes): Row[] {
  const world = scenes.worldOf(10)
  const sample = scenes.sceneOf(world, scenes.bootWorld(world, 'hops'))
  const hops = sample
    .text('hops')
    .split('\n\n')[1]!
    .split('\n')
    .filter((line) => /^ {2}\S/.test(line)).length
  const levels = ['off', 'minimal', 'hops', 'full'] as const
  const pieces = levels.map((level): Work => {
    const traced: Level | undefined = level === 'off' ? undefined : level
    let scene = sample
    return {
      name: level,
      prepare: () => {
        scene = scenes.sceneOf(world, scenes.bootWorld(world, traced))
      },
      run: () => {
        scene.send(packets)
        if (traced !== undefined) scene.text(traced)
      },
    }
  })
  const times = measureWork(pieces, { rounds: 40, warm: 15 })
  return levels.map((level) => ({
    measure: `hop: trace ${level}${level === 'off' ? '' : ', with its text'}`,
    estimate: estimate(times.get(level)!.map((time) => time / packets / hops)),
    unit: 'us',
  }))
}

/** Cost per hop at every level, and of tracing that is off. */
export async function traceRows(): Promise<Row[]> {
  const whole = await bundled<typeof Scenes>('scene.ts', { name: 'whole' })
  const cut = await bundled<typeof Scenes>('scene.ts', { name: 'cut', plugins: [cutTrace] })
  return [...levelRows(whole), ...offRows(whole, cut)]
}
