// Routes and rules that the kernel refuses when a host is set up. The model must refuse the same ones; then the case goes
// on without them.
import { AssertionError } from '../../src/base/assert.ts'
import { boot } from '../../src/boot/boot.ts'
import type { CaseModel, NamespaceModel, World } from '../../src/model/model.ts'
import type { Difference } from '../../src/oracle/compare.ts'
import { KernelRefused } from '../../src/oracle/native.ts'
import { speaksIpv6 } from '../../src/oracle/possible.ts'
import { routeLine, ruleLine } from '../../src/oracle/table-lines.ts'
import type { Oracle } from '../../src/oracle/verify.ts'
import { RealWorld } from '../../src/oracle/world.ts'

const ring = { frames: 64, bytes: 1600 }

/** An entry of a host that the model refuses. */
interface Refusal {
  readonly host: string
  readonly list: 'routes' | 'rules'
  readonly index: number
  readonly errno: string
}

function changed(world: World, name: string, change: (host: NamespaceModel) => NamespaceModel): World {
  return { ...world, namespaces: world.namespaces.map((each) => (each.name === name ? change(each) : each)) }
}

/** What the model says when it takes all that a world has; undefined when it takes everything. */
function stopOf(world: World): RegExpExecArray | undefined {
  try {
    boot(world, { seed: 1 })
    return undefined
  } catch (problem) {
    if (!(problem instanceof AssertionError)) throw problem
    return /^(\S+) takes a (route|rule): (E\w+)$/.exec(problem.message) ?? undefined
  }
}

function firstRefused(world: World): Refusal | undefined {
  const [, host = '', kind, errno = ''] = stopOf(world) ?? []
  if (kind === undefined) return undefined
  const list = kind === 'route' ? 'routes' : 'rules'
  const length = world.namespaces.find(({ name }) => name === host)?.[list].length ?? 0
  for (let index = 0; index < length; index += 1) {
    const short = changed(world, host, (each) => ({ ...each, [list]: each[list].slice(0, index + 1) }))
    if (stopOf(short)?.[1] === host) return { host, list, index, errno }
  }
  return undefined
}

/** What the real kernel says to the set-up; undefined when it takes everything. */
function kernelSays(oracle: Oracle, model: CaseModel): string | undefined {
  const bare = {
    ...model.world,
    namespaces: model.world.namespaces.map((each) => ({ ...each, routes: [], rules: [] })),
  }
  const world = new RealWorld(oracle.reach, model.world, boot(bare, { seed: 1 }), {
    ring,
    ipv6: speaksIpv6(model),
  })
  try {
    world.build()
    return undefined
  } catch (problem) {
    if (!(problem instanceof KernelRefused)) throw problem
    return problem.message
  } finally {
    world.close()
  }
}

function lineOf(world: World, { host, list, index }: Refusal): string {
  const own = world.namespaces.find(({ name }) => name === host)
  if (list === 'routes') {
    const route = own?.routes[index]
    return route === undefined ? '' : routeLine('add', route)
  }
  const rule = own?.rules[index]
  return rule === undefined ? '' : ruleLine('add', rule)
}

/** The case without what both sides refuse, or what one side alone refuses. */
export function withoutRefused(oracle: Oracle, model: CaseModel): CaseModel | readonly Difference[] {
  const refusal = firstRefused(model.world)
  if (refusal === undefined) return model
  const { host, list, index, errno } = refusal
  const line = lineOf(model.world, refusal)
  const said = kernelSays(oracle, model)
  if (said === undefined || !said.includes(`${line} in ${host}:`))
    return [{ subject: `\`${line}\` in ${host}`, model: errno, kernel: said ?? 'accepted' }]
  const world = changed(model.world, host, (each) => ({ ...each, [list]: each[list].toSpliced(index, 1) }))
  return withoutRefused(oracle, { ...model, world })
}
