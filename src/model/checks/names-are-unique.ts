// A name means one thing. Hosts of every kind share one list, because expectations name them all alike.
import type { Report } from '../../base/diagnostic.ts'
import type { Program, Scenario, Word } from '../../syntax/ast.ts'
import { mistake } from '../diagnose.ts'
import { itemsOf } from '../resolve/cases.ts'
import { labelsOf } from '../resolve/labels.ts'
import { isStep } from '../resolve/scenario.ts'
import { isMachine } from '../world/entities.ts'
import type { Linked } from '../world/link.ts'

/** Nets, hosts, devices, services, policies, programs, maps, scenarios and labels. */
export function namesAreUnique({ topology, programs, scenarios }: Linked, report: Report): void {
  const machines = topology.filter(isMachine)
  unique(
    'net',
    topology.filter((item) => item.kind === 'net').map((item) => item.name),
    report,
  )
  unique(
    'host',
    machines.map((item) => item.name),
    report,
  )
  unique(
    'service',
    topology.filter((item) => item.kind === 'service').map((item) => item.name),
    report,
  )
  unique(
    'policy',
    topology.filter((item) => item.kind === 'policy').map((item) => item.name),
    report,
  )
  for (const machine of machines) {
    const devices = machine.items.filter((item) => item.kind === 'dev').map((item) => item.name)
    const own = machine.kind === 'external' || machine.kind === 'pod'
    const implied = own ? devices.filter((word) => word.text === 'eth0') : []
    for (const word of implied) again('device', word, machine.name, report)
    unique('device', devices, report)
  }
  unique(
    'scenario',
    scenarios.map((item) => item.name),
    report,
  )
  for (const source of new Set(programs.map((each) => each.syntax.span.source))) {
    const own = programs.filter((each) => each.syntax.span.source === source)
    unique(
      'program',
      own.map((each) => each.syntax.name),
      report,
    )
  }
  for (const { syntax } of programs) mapsOf(syntax, report)
  for (const scenario of scenarios) labels(scenario, report)
}

function unique(what: string, words: readonly Word[], report: Report): void {
  const known = new Map<string, Word>()
  for (const word of words) {
    const first = known.get(word.text)
    if (first === undefined) known.set(word.text, word)
    else again(what, word, first, report)
  }
}

function again(what: string, word: Word, first: Word, report: Report): void {
  report(
    mistake('S102', word.span, `there is already a ${what} \`${word.text}\``, {
      hint: 'give one of them another name',
      notes: [{ message: 'the first one is here', span: first.span }],
    }),
  )
}

function mapsOf(program: Program, report: Report): void {
  if (program.body.kind !== 'small') return
  unique(
    'map',
    program.body.items.filter((item) => item.kind === 'map').map((item) => item.name),
    report,
  )
}

/** Two steps may share a label when no case has both. */
function labels(scenario: Scenario, report: Report): void {
  const known = new Map<string, { readonly word: Word; readonly cases: ReadonlySet<string> | undefined }[]>()
  for (const { item, cases } of itemsOf(scenario)) {
    if (!isStep(item)) continue
    for (const { word } of labelsOf(item, 0)) {
      const others = known.get(word.text) ?? []
      const clash = others.find((other) => overlap(other.cases, cases))
      if (clash !== undefined) again('label', word, clash.word, report)
      known.set(word.text, [...others, { word, cases }])
    }
  }
}

function overlap(left: ReadonlySet<string> | undefined, right: ReadonlySet<string> | undefined): boolean {
  return left === undefined || right === undefined || [...left].some((id) => right.has(id))
}
