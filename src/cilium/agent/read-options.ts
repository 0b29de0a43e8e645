// Settings as they were written become settings of the agent, or mistakes at their words. Helm leaves unknown values alone
// and the agent refuses unknown flags; here both are mistakes, because a setting that silently does nothing misleads.
import { didYouMean } from '../../base/closest.ts'
import type { CiliumVersion } from './config.ts'
import { otherFlags } from './flags.ts'
import {
  besideHelm,
  knownValues,
  laterWords,
  type Option,
  optionNamed,
  options,
  type Setting,
  settingValue,
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

function unknownKey({ form, key }: WrittenSetting, index: number): OptionProblem {
  const at = { index, part: 'key' } as const
  if (form === 'word') return { ...at, severity: 'later', message: `\`${key}\`` }
  if (form === 'flag' && otherFlags.includes(key))
    return { ...at, severity: 'later', message: `the flag \`--${key}\`` }
  if (form === 'helm' && besideHelm.includes(key.split('.')[0] ?? '')) {
    return { ...at, severity: 'warning', message: `\`${key}\` changes no packet`, hint: 'it is read past' }
  }
  const known =
    form === 'flag'
      ? [...options.map(({ flag }) => flag), ...otherFlags]
      : options.flatMap(({ helm }) => helm ?? [])
  const hint = didYouMean(key, known)
  const what = form === 'flag' ? `cilium-agent has no flag \`--${key}\`` : `the chart has no value \`${key}\``
  return { ...at, severity: 'error', message: what, ...(hint === undefined ? {} : { hint }) }
}

/** Settings whose devices the simulated kernel does not have yet. */
const enginesToCome: Readonly<Record<string, (value: string, version: CiliumVersion) => string | undefined>> =
  {
    'mesh-auth-mutual-enabled': (value) => (value === 'true' ? 'mutual authentication by SPIRE' : undefined),
    encryption: (value, version) =>
      value === 'off' || version === '1.19' ? undefined : `encryption by ${value}`,
    'enable-wireguard': (value, version) =>
      value === 'true' && version === '1.10' ? 'encryption by wireguard' : undefined,
    'enable-ipsec': (value, version) =>
      value === 'true' && version === '1.10' ? 'encryption by ipsec' : undefined,
    'enable-bbr': (value) => (value === 'true' ? 'the congestion control BBR' : undefined),
  }

/** What a value would have to be. */
function expectedOf(option: Option): string {
  const { kind } = option.values
  if (kind === 'prefix') return option.values.version === 4 ? 'such as 10.0.0.0/8' : 'such as fd00::/8'
  if (kind === 'duration') return 'such as 90s or 5m0s'
  const known = knownValues(option)
  return known.length === 0 ? 'a number' : `one of ${known.join(', ')}`
}

/** Settings of a version. The last one with a name counts. */
export function readOptions(
  written: readonly WrittenSetting[],
  version: CiliumVersion,
): { readonly settings: readonly Setting[]; readonly problems: readonly OptionProblem[] } {
  const settings: Setting[] = []
  const problems: OptionProblem[] = []
  written.forEach((each, index) => {
    const [value = ''] = each.values
    if (each.form === 'word' && each.key === 'routing') {
      if (value === 'ipip') {
        const hint = '`routing tunnel vxlan` or `routing tunnel geneve`'
        problems.push({
          index,
          part: 'value',
          severity: 'error',
          message: 'Cilium has no tunnel of ipip',
          hint,
        })
      } else settings.push(...routingSettings(value, index, version))
      return
    }
    const option = optionNamed(each.form, each.key)
    if (option === undefined || (each.form === 'word' && laterWords.includes(each.key))) {
      problems.push(unknownKey(each, index))
      return
    }
    if (option.only !== undefined && option.only !== version) {
      const message = `Cilium ${version} has no \`${each.key}\``
      const hint = option.flag === 'tunnel' ? '`routingMode` and `tunnelProtocol`' : undefined
      problems.push({
        index,
        part: 'key',
        severity: 'error',
        message,
        ...(hint === undefined ? {} : { hint }),
      })
      return
    }
    const engine = enginesToCome[option.flag]?.(value, version)
    if (engine !== undefined) problems.push({ index, part: 'key', severity: 'later', message: engine })
    const own = settingValue(option, value)
    if (own === undefined) {
      const known = knownValues(option)
      const hint = didYouMean(value, known) ?? expectedOf(option)
      problems.push({
        index,
        part: 'value',
        severity: 'error',
        message: `\`${each.key}\` is never \`${value}\``,
        hint,
      })
    } else settings.push({ flag: option.flag, value: own, values: each.values, index })
  })
  return { settings, problems }
}

/** `1.18`, `1.12.3`: the version whose behaviour is nearest, and whether it is exact. */
export function nearestVersion(text: string | undefined): {
  readonly version: CiliumVersion
  readonly exact: boolean
} {
  const minor = Number(/^1\.([0-9]+)/.exec(text ?? '1.19')?.[1] ?? 19)
  return { version: minor < 15 ? '1.10' : '1.19', exact: minor === 10 || minor === 19 }
}
