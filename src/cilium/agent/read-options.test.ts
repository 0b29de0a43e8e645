import { describe, expect, test } from 'vitest'
import type { CiliumVersion } from './config.ts'
import { nearestVersion, readOptions } from './read-options.ts'

describe('names of options', () => {
  const problems = (
    form: 'word' | 'helm' | 'flag',
    key: string,
    value: string,
    version: CiliumVersion = '1.19',
  ) =>
    readOptions([{ form, key, values: [value] }], version).problems.map(
      ({ severity, part, message, hint }) =>
        `${severity} ${part} ${message}${hint === undefined ? '' : ` -> ${hint}`}`,
    )
  test('three names of one option', () => {
    const flags = [
      ['word', 'bpf-masquerade', 'on'],
      ['helm', 'bpf.masquerade', 'true'],
      ['flag', 'enable-bpf-masquerade', 'true'],
    ] as const
    for (const [form, key, value] of flags) {
      expect(readOptions([{ form, key, values: [value] }], '1.19').settings).toMatchObject([
        { flag: 'enable-bpf-masquerade', value: 'true' },
      ])
    }
  })
  test('an unknown value of the chart', () => {
    expect(problems('helm', 'bpf.masqerade', 'true')).toEqual([
      'error key the chart has no value `bpf.masqerade` -> did you mean `bpf.masquerade`?',
    ])
    expect(problems('helm', 'hubble.relay.enabled', 'true')).toEqual([
      'warning key `hubble.relay.enabled` changes no packet -> it is read past',
    ])
  })
  test('an unknown flag, and one whose engine is to come', () => {
    expect(problems('flag', 'enable-ipv7', 'true')).toEqual([
      'error key cilium-agent has no flag `--enable-ipv7` -> did you mean `enable-ipv4`?',
    ])
    expect(problems('flag', 'enable-vtep', 'true')).toEqual(['later key the flag `--enable-vtep`'])
  })
  test('a value that the option never has', () => {
    expect(problems('helm', 'loadBalancer.mode', 'dsrr')).toEqual([
      'error value `loadBalancer.mode` is never `dsrr` -> did you mean `dsr`?',
    ])
    expect(problems('word', 'routing', 'ipip')).toEqual([
      'error value Cilium has no tunnel of ipip -> `routing tunnel vxlan` or `routing tunnel geneve`',
    ])
  })
  test('a value of the chart that nothing follows is none that the chart has not', () => {
    expect(problems('helm', 'bpf.ctAnyMax', '1000')).toEqual(['later key the Helm value `bpf.ctAnyMax`'])
    expect(problems('helm', 'nat46x64Gateway.enabled', 'true')).toEqual([
      'later key the Helm value `nat46x64Gateway.enabled`',
    ])
    expect(problems('helm', 'enableBBR', 'true')).toEqual(['error key the chart has no value `enableBBR`'])
  })
  test('a number with a limit', () => {
    expect(problems('helm', 'tunnelPort', '65536')).toEqual([
      'error value `tunnelPort` is never `65536` -> a number up to 65535',
    ])
    expect(problems('helm', 'MTU', '65536')).toEqual([])
  })
  test('kube-proxy is replaced wholly or not at all, in 1.10 in more ways', () => {
    const key = 'kubeProxyReplacement'
    expect(problems('helm', key, 'strict')).toEqual([
      'error value `kubeProxyReplacement` is never `strict` -> one of true, false',
    ])
    expect(problems('helm', key, 'strict', '1.10')).toEqual([])
    expect(problems('flag', 'kube-proxy-replacement', 'true', '1.10')).toEqual([
      'error value `kube-proxy-replacement` is never `true` -> one of strict, probe, partial, disabled',
    ])
    expect(problems('word', 'kube-proxy-replacement', 'on', '1.10')).toEqual([])
  })
  test('of two settings the last one counts, and the first one is told so', () => {
    const word = (key: string, ...values: string[]) => ({ form: 'word', key, values }) as const
    const off = { form: 'helm', key: 'bpf.masquerade', values: ['false'] } as const
    const written = [
      word('encryption', 'wireguard'),
      word('encryption', 'ipsec'),
      word('dns-answer', 'a', '1.2.3.4'),
      word('dns-answer', 'b', '1.2.3.4'),
      word('bpf-masquerade', 'on'),
    ]
    const read = readOptions([...written, off, off], '1.19')
    expect(read.problems).toEqual([
      {
        index: 0,
        part: 'key',
        severity: 'warning',
        message: '`encryption` does not count: `encryption` is `ipsec` below',
      },
      {
        index: 4,
        part: 'key',
        severity: 'warning',
        message: '`bpf-masquerade` does not count: `bpf.masquerade` is `false` below',
      },
    ])
  })
  test('names of other versions', () => {
    expect(problems('helm', 'tunnel', 'vxlan')).toEqual([
      'error key Cilium 1.19 has no `tunnel` -> `routingMode` and `tunnelProtocol`',
    ])
    expect(problems('helm', 'tunnel', 'geneve', '1.10')).toEqual([])
  })
  test('versions', () => {
    expect(nearestVersion('1.10')).toEqual({ version: '1.10', exact: true })
    expect(nearestVersion('1.12')).toEqual({ version: '1.10', exact: false })
    expect(nearestVersion('2.0')).toEqual({ version: '1.19', exact: false })
    expect(nearestVersion('1.18')).toEqual({ version: '1.19', exact: false })
    expect(nearestVersion(undefined)).toEqual({ version: '1.19', exact: true })
  })
})
