// What bpf_get_prandom_u32 gave in a step of a run, as far as its map changes tell: the port that a translation took, and the
// backend that a service took. The replay gives the model the same number.
import { clampPort } from '../../src/cilium/datapath/nat-mapping.ts'
import { clampPort as legacyClampPort } from '../../src/cilium/legacy/nat-mapping.ts'
import type { RecordedChange, RecordedSetup, RecordedStep } from './case.ts'
import type { Version } from './era.ts'

type Fits = (number: number) => boolean

const natPorts = { min: 32_768, max: 65_535 }

/** A translation that did not keep its port. */
function fitsPort({ entry }: RecordedChange, version: Version): Fits | undefined {
  const found = /^\{(\w+) OUT \S+:(\d+) -> \S+\} = \{to \S+:(\d+) /.exec(entry)
  if (found === null || found[2] === found[3]) return undefined
  const port = Number(found[3])
  // 1.19 lets identifiers of echo requests be anything
  const wide = version === 'v1.19' && found[1]?.startsWith('icmp') === true
  const { min, max } = wide ? { min: 0, max: 65_535 } : natPorts
  return version === 'v1.10'
    ? (number) => legacyClampPort(min, max, number) === port
    : (number) => clampPort(min, max, number & 0xffff) === port
}

/** A new flow to a service that has several backends: their ids follow each other. */
function fitsBackend({ entry }: RecordedChange, setup: RecordedSetup | undefined): Fits | undefined {
  const found = /^\{\w+ SERVICE \S+ -> (\S+):(\d+)\} = \{backend_id=(\d+)/.exec(entry)
  const service = setup?.services.find(({ vip, port }) => vip === found?.[1] && port === Number(found[2]))
  const count = service?.backends.length ?? 0
  if (service === undefined || count < 2) return undefined
  const slot = Number(found?.[3]) - service.revnat * 100
  return (number) => number % count === slot
}

/** A number that all new entries of a step agree with; undefined where none of them depends on one. */
export function choiceOf(
  step: RecordedStep,
  version: Version,
  setup: RecordedSetup | undefined,
): number | undefined {
  const made = step.maps.filter(({ op }) => op === '+')
  const wanted = made
    .map((change) => (change.map.includes('_snat_') ? fitsPort(change, version) : fitsBackend(change, setup)))
    .filter((fits) => fits !== undefined)
  if (wanted.length === 0) return undefined
  for (let number = 0; number < 1 << 20; number += 1) if (wanted.every((fits) => fits(number))) return number
  return undefined
}
