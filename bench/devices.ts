// What one host with ten thousand devices costs: veth pairs with an address each, checked and booted.
import { boot } from '../src/boot/boot.ts'
import { check } from '../src/model/check.ts'
import type { World } from '../src/model/model.ts'
import { attempt } from '../src/syntax/expected.ts'
import { measureWork } from './interleave.ts'
import { estimate } from './statistics.ts'
import { type Row, whole } from './table.ts'

const pairs = 5000

/** Two namespaces joined by so many veth pairs, as text. */
function hostSpec(): string {
  const near: string[] = []
  const far: string[] = []
  for (let i = 0; i < pairs; i += 1) {
    near.push(`dev d${i} veth 10.${i >> 14}.${(i >> 6) & 255}.${((i & 63) << 2) | 1}/30 peer far/e${i}`)
    far.push(`dev e${i} veth peer near/d${i}`)
  }
  const hosts = `netns near {\n${near.join('\n')}\n}\nnetns far {\n${far.join('\n')}\n}`
  return `scn 1\ntopology {\n${hosts}\n}\nscenario s { p1: packet udp 10.0.0.2:1 > near:2 on near/d0 }\n`
}

/** Time to check and to boot two hosts with 10,000 devices between them. */
export function deviceRows(): Row[] {
  const text = hostSpec()
  const parsed = attempt({ name: 'host.scn', text }, text)
  if (!parsed.ok) throw new Error(`the host does not parse at ${text.slice(parsed.at, parsed.at + 40)}`)
  const worldOf = (): World => {
    const checked = check({ main: parsed.file, imports: new Map() })
    if (!checked.ok) throw new Error(checked.diagnostics[0]?.message)
    return checked.value.scenarios[0]!.cases[0]!.world
  }
  const world = worldOf()
  const rounds = 5
  return [
    { name: 'check', run: () => void worldOf() },
    { name: 'boot', run: () => void boot(world, { seed: 0 }) },
  ].map((work) => {
    const times = measureWork([work], { rounds, warm: 1 }).get(work.name)!
    const milliseconds = times.map((time) => time / 1000)
    return {
      measure: `${work.name}: ${whole(2 * pairs)} devices`,
      estimate: estimate(milliseconds),
      unit: 'ms' as const,
      target: 3000,
    }
  })
}
