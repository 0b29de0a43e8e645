// Settings as they were written become settings of the agent, or mistakes at their words. Helm leaves unknown values alone
// and the agent refuses unknown flags; here both are mistakes, because a setting that silently does nothing misleads.
import { didYouMean } from '../../base/closest.ts'
import type { CiliumVersion } from './config.ts'
import { otherFlags } from './flags.ts'
import { besideHelm, otherHelm } from './helm.ts'
import {
  knownValues,
  laterWords,
  optionNamed,
  options,
  type Setting,
  settingValue,
  type Values,
  valuesOf,
  type WrittenSetting,
} from './options.ts'

/** Something about one of the settings: `index` is its place in the list, `part` the word that is meant. */
export interface OptionProblem {
  readonly index: number
  readonly part: 'key' | 'value'
  readonly severity: 'error' | 'warning' | 'later'
  readonly message: string
  readonly hint?: string
}

/** `routing tunnel vxlan`, `routing native` in the flags of the version. */
function routingSettings(value: string, index: number, version: CiliumVersion): readonly Setting[] {
  const setting = (flag: string, text: string): Setting => ({ flag, value: text, values: [text], index })
  if (version === '1.10') return [setting('tunnel', value === 'native' ? 'disabled' : value)]
  if (value === 'native') return [setting('routing-mode', 'native')]
  return [setting('routing-mode', 'tunnel'), setting('tunnel-protocol', value)]
}

/** Names that may have been meant: in a part of the chart those of this part. */
function namesLike({ form, key }: WrittenSetting): readonly string[] {
  if (form === 'flag') return [...options.map(({ flag }) => flag), ...otherFlags]
  const values = options.flatMap(({ helm }) => helm ?? [])
  const part = partOf(key)
  return otherHelm.includes(part) ? values.filter((each) => partOf(each) === part) : values
}

const partOf = (key: string): string => key.split('.')[0] ?? ''

function unknownKey(written: WrittenSetting, index: number): OptionProblem {
  const { form, key } = written
  const at = { index, part: 'key' } as const
  if (form === 'word') return { ...at, severity: 'later', message: `\`${key}\`` }
  if (form === 'flag' && otherFlags.includes(key))
    return { ...at, severity: 'later', message: `the flag \`--${key}\`` }
  if (form === 'helm' && besideHelm.includes(partOf(key)))
    return { ...at, severity: 'warning', message: `\`${key}\` changes no packet`, hint: 'it is read past' }
  const hint = didYouMean(key, namesLike(written))
  if (form === 'helm' && hint === undefined && otherHelm.includes(partOf(key)))
    return { ...at, severity: 'later', message: `the Helm value \`${key}\`` }
  const what = form === 'flag' ? `cilium-agent has no flag \`--${key}\`` : `the chart has no value \`${key}\``
  return { ...at, severity: 'error', message: what, ...(hint === undefined ? {} : { hint }) }
}

/** Settings whose devices the simulated kernel does not have yet. */
const enginesToCome: Readonly<Record<string, (value: string, version: CiliumVersion) => string | undefined>> =
  {
    'mesh-auth-mutual-enabled': (value) => (value === 'true' ? 'mutual authentication by SPIRE' : undefined),
    'encrypt-node': (value, version) =>
      value === 'true' && version === '1.10' ? 'encryption of nodes by 1.10' : undefined,
    'enable-bbr': (value) => (value === 'true' ? 'the congestion control BBR' : undefined),
  }

/** What a value would have to be. */
function expectedOf(values: Values): string {
  if (values.kind === 'prefix') return values.version === 4 ? 'such as 10.0.0.0/8' : 'such as fd00::/8'
  if (values.kind === 'duration') return 'such as 90s or 5m0s'
  if (values.kind === 'number')
    return values.most === undefined ? 'a number' : `a number up to ${values.most}`
  return `one of ${knownValues(values).join(', ')}`
}

/** A setting of the agent, or what is wrong with one that was written. */
type Read = { readonly settings: readonly Setting[]; readonly problems: readonly OptionProblem[] }

const wrong = (problem: OptionProblem): Read => ({ settings: [], problems: [problem] })

function readRouting(value: string, index: number, version: CiliumVersion): Read {
  if (value !== 'ipip') return { settings: routingSettings(value, index, version), problems: [] }
  const hint = '`routing tunnel vxlan` or `routing tunnel geneve`'
  return wrong({ index, part: 'value', severity: 'error', message: 'Cilium has no tunnel of ipip', hint })
}

function readOption(each: WrittenSetting, index: number, version: CiliumVersion): Read {
  const [value = ''] = each.values
  if (each.form === 'word' && each.key === 'routing') return readRouting(value, index, version)
  const option = optionNamed(each.form, each.key)
  if (option === undefined || (each.form === 'word' && laterWords.includes(each.key)))
    return wrong(unknownKey(each, index))
  if (option.only !== undefined && option.only !== version) {
    const message = `Cilium ${version} has no \`${each.key}\``
    const hint = option.flag === 'tunnel' ? { hint: '`routingMode` and `tunnelProtocol`' } : {}
    return wrong({ index, part: 'key', severity: 'error', message, ...hint })
  }
  const engine = enginesToCome[option.flag]?.(value, version)
  const problems: readonly OptionProblem[] =
    engine === undefined ? [] : [{ index, part: 'key', severity: 'later', message: engine }]
  const values = valuesOf(option, each.form, version)
  const own = settingValue(values, value)
  if (own !== undefined)
    return { settings: [{ flag: option.flag, value: own, values: each.values, index }], problems }
  const hint = didYouMean(value, knownValues(values)) ?? expectedOf(values)
  const message = `\`${each.key}\` is never \`${value}\``
  return { settings: [], problems: [...problems, { index, part: 'value', severity: 'error', message, hint }] }
}

/** Settings that a later one contradicts, which is the one that counts. */
function contradicted(
  written: readonly WrittenSetting[],
  settings: readonly Setting[],
): readonly OptionProblem[] {
  const last = new Map(settings.map((each) => [each.flag, each]))
  return settings.flatMap(({ flag, value, index }): readonly OptionProblem[] => {
    const counts = last.get(flag)
    if (flag === 'dns-answer' || counts === undefined || counts.value === value) return []
    const [own, other] = [written[index], written[counts.index]]
    const message = `\`${own?.key}\` does not count: \`${other?.key}\` is \`${other?.values[0]}\` below`
    return [{ index, part: 'key', severity: 'warning', message }]
  })
}

/** Settings of a version. The last one with a name counts. */
export function readOptions(written: readonly WrittenSetting[], version: CiliumVersion): Read {
  const read = written.map((each, index) => readOption(each, index, version))
  const settings = read.flatMap((each) => each.settings)
  const problems = [...read.flatMap((each) => each.problems), ...contradicted(written, settings)]
  return { settings, problems }
}

/** `1.18`, `1.12.3`: the version whose behaviour is nearest, and whether it is exact. */
export function nearestVersion(text: string | undefined): {
  readonly version: CiliumVersion
  readonly exact: boolean
} {
  const [, digits] = /^1\.([0-9]+)/.exec(text ?? '1.19') ?? []
  if (digits === undefined) return { version: '1.19', exact: false }
  const minor = Number(digits)
  return { version: minor < 15 ? '1.10' : '1.19', exact: minor === 10 || minor === 19 }
}
