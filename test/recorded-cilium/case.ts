// The recorded runs of Cilium's real programs, as their JSON files hold them. Two shapes: one list of injections under one
// configuration, or a list of named scenarios with their set-up beside them in a *.scenarios.json.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { unknownSettings } from './settings.ts'
import { unknownNames, unknownSetup, unknownSteps } from './strict.ts'

export interface RecordedConfig {
  readonly tunnel?: boolean
  readonly dsr?: boolean
  readonly host_routing?: boolean
  readonly xdp?: boolean | string
  readonly aggregation?: number
  readonly v6?: boolean
  readonly lb?: string
  readonly sock_lb?: boolean
  /** Programs also tell what they do in words, which the model has not. */
  readonly debug?: boolean
  /** Masquerading by the agent's iptables rules instead of BPF. */
  readonly iptables_masquerade?: boolean
  /** Ports on which a transparent proxy listens. */
  readonly tproxy?: readonly number[]
  /** Load-time constants and compile-time defines by Cilium's names. */
  readonly consts?: Readonly<Record<string, number>>
  readonly defines?: Readonly<Record<string, number | null>>
  readonly version?: string
  readonly [name: string]: unknown
}

/** One line of a timeline; which fields there are depends on the kind. */
export interface RecordedEvent {
  readonly kind: 'packet' | 'enter' | 'return' | 'event' | 'kernel-free'
  readonly ns?: string
  readonly node?: string
  readonly dev?: string
  readonly dir?: string
  readonly hex?: string
  readonly prog?: string
  readonly mark?: number
  readonly len?: number
  readonly cb?: readonly number[]
  readonly ret?: number
  readonly type?: string
  readonly packet?: string
  readonly [field: string]: unknown
}

export interface RecordedChange {
  readonly op: '+' | '-' | '~'
  /** `n1/cilium_ct4_global` */
  readonly map: string
  readonly entry: string
}

export interface RecordedStep {
  readonly title: string
  /** The namespace whose device sends the frame. */
  readonly at: string
  /** Absent: eth0. */
  readonly dev?: string
  readonly frame: string
  readonly timeline: readonly RecordedEvent[]
  readonly maps: readonly RecordedChange[]
}

export interface ScenarioService {
  readonly vip: string
  readonly port: number
  readonly proto?: number
  readonly backends: readonly (readonly [string, number])[]
  readonly revnat: number
  readonly flags: number
  readonly flags2?: number
  readonly nodes?: readonly number[]
}

export interface ScenarioPolicy {
  readonly pod?: string
  readonly host?: number
  readonly clear?: 'ingress' | 'egress'
  readonly dir?: 'ingress' | 'egress'
  readonly identity?: number
  readonly proto?: number
  readonly dport?: number
  readonly proxy_port?: number
  readonly deny?: boolean | number
}

export interface ScenarioMap {
  readonly node: number
  readonly map: string
  readonly key: Readonly<Record<string, string | number>> | string | number
  readonly value: Readonly<Record<string, string | number>> | string | number
}

/** What was set up before the first packet. */
export interface RecordedSetup {
  readonly services: readonly ScenarioService[]
  readonly policy: readonly ScenarioPolicy[]
  readonly maps: readonly ScenarioMap[]
}

/** A run: its steps happen one after the other on one topology. */
export interface RecordedRun {
  /** `tunnel`, `features/egress-gateway` */
  readonly name: string
  readonly config: RecordedConfig
  readonly setup: RecordedSetup | undefined
  readonly steps: readonly RecordedStep[]
  /** What of its file this reader does not understand; such a run counts as one that differs. */
  readonly problems: readonly string[]
}

interface RawStep {
  readonly title?: string
  readonly dev?: string
  readonly where?: string
  readonly at?: string
  readonly frame: string
  readonly frame_text?: string
  readonly timeline: readonly RecordedEvent[]
  readonly maps: readonly RecordedChange[]
}

interface RawScenario extends Partial<RecordedSetup> {
  readonly name: string
  readonly config: RecordedConfig
  readonly steps: readonly RawStep[]
}

function stepOf(raw: RawStep): RecordedStep {
  return {
    title: raw.title ?? raw.frame_text ?? '',
    at: raw.where ?? raw.at ?? '',
    ...(raw.dev === undefined ? {} : { dev: raw.dev }),
    frame: raw.frame,
    timeline: raw.timeline,
    maps: raw.maps,
  }
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/** The set-up of a scenario: in the recording itself or in the file beside it. */
function setupOf(folder: string, file: string, raw: RawScenario): [RecordedSetup, string[]] {
  const path = join(folder, file.replace('.json', '.scenarios.json'))
  const all = existsSync(path)
    ? (readJson(path) as ({ readonly name: string } & Partial<RecordedSetup>)[])
    : []
  const found = all.find((each) => each.name === raw.name)
  const setup = {
    services: raw.services ?? found?.services ?? [],
    policy: raw.policy ?? found?.policy ?? [],
    maps: raw.maps ?? found?.maps ?? [],
  }
  const missing = found === undefined && raw.services === undefined && raw.policy === undefined
  return [setup, [...(missing ? ['its set-up is nowhere'] : []), ...unknownSetup(setup, found)]]
}

function scenarioRun(folder: string, file: string, raw: RawScenario): RecordedRun {
  const [setup, problems] = setupOf(folder, file, raw)
  return {
    name: `${file.replace('.json', '')}/${raw.name}`,
    config: raw.config,
    setup,
    steps: raw.steps.map(stepOf),
    problems: [
      ...unknownNames('scenario', raw),
      ...unknownSettings(raw.config),
      ...problems,
      ...unknownSteps(raw.steps),
    ],
  }
}

function listRun(
  file: string,
  raw: { readonly config: RecordedConfig; readonly cases: readonly RawStep[] },
): RecordedRun {
  return {
    name: file.replace('.json', ''),
    config: raw.config,
    setup: undefined,
    steps: raw.cases.map(stepOf),
    problems: [...unknownNames('list', raw), ...unknownSettings(raw.config), ...unknownSteps(raw.cases)],
  }
}

function runsOf(folder: string, file: string): RecordedRun[] {
  const raw = readJson(join(folder, file))
  if (Array.isArray(raw)) return (raw as RawScenario[]).map((each) => scenarioRun(folder, file, each))
  return [listRun(file, raw as Parameters<typeof listRun>[1])]
}

/** Every recorded run of a folder; a file that cannot be read is a run of its own that says so. */
export function readRuns(folder: string): RecordedRun[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter(
    (name) => name.endsWith('.json') && !name.endsWith('.scenarios.json'),
  )
  return files.sort().flatMap((file): RecordedRun[] => {
    try {
      return runsOf(folder, file)
    } catch (problem) {
      return [{ name: file, config: {}, setup: undefined, steps: [], problems: [String(problem)] }]
    }
  })
}
