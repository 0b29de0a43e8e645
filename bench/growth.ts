// What a larger world costs: booting it, and the same packet in it; and a host with very many devices.
import { deviceRows } from './devices.ts'
import { measureWork } from './interleave.ts'
import { bootWorld, sceneOf, worldOf } from './scene.ts'
import { estimate, ratio } from './statistics.ts'
import { type Row, whole } from './table.ts'

const sizes = [10, 100, 1000, 10_000] as const

/** How often each world is booted: the large ones take long. */
const boots = new Map<number, number>([
  [10, 40],
  [100, 20],
  [1000, 10],
  [10_000, 5],
])

const packets = 400

/** Boot time and cost of a packet at 10, 100, 1,000 and 10,000 namespaces. */
export function growthRows(): Row[] {
  const rows: Row[] = []
  const scenes = sizes.map((size) => {
    const world = worldOf(size)
    const rounds = boots.get(size) ?? 1
    const warm = size <= 100 ? 10 : 1
    const times = measureWork([{ name: 'boot', run: () => void bootWorld(world) }], { rounds, warm })
    const milliseconds = times.get('boot')!.map((time) => time / 1000)
    rows.push({ measure: `boot: ${whole(size)} namespaces`, estimate: estimate(milliseconds), unit: 'ms' })
    return { size, scene: sceneOf(world, bootWorld(world)) }
  })
  const work = scenes.map(({ size, scene }) => ({ name: String(size), run: () => scene.send(packets) }))
  const times = measureWork(work, { rounds: 60, warm: 20 })
  for (const size of sizes) {
    const each = times.get(String(size))!.map((time) => time / packets)
    rows.push({ measure: `packet: ${whole(size)} namespaces`, estimate: estimate(each), unit: 'us' })
  }
  rows.push({
    measure: 'packet: 10,000 against 10',
    estimate: ratio(times.get('10000')!, times.get('10')!),
    unit: 'x',
    target: 1.5,
  })
  rows.push(...deviceRows())
  return rows
}
