// Options as one line, `kube-proxy-replacement on; --mtu 1400`, settled for tests.
import { expect } from 'vitest'
import type { CiliumVersion } from './config.ts'
import { readOptions } from './read-options.ts'
import { type Settled, settle } from './settle.ts'

type Written = Parameters<typeof readOptions>[0]

const words = (text: string): Written =>
  text
    .split(';')
    .map((each) => each.trim().split(' '))
    .filter(([key]) => key !== '')
    .map(([key = '', ...values]) => ({
      form: key.startsWith('--') ? ('flag' as const) : ('word' as const),
      key: key.replace(/^--/, ''),
      values: key === 'routing' ? values.slice(-1) : values,
    }))

/** What an agent makes of options that are no mistakes. */
export function of(text: string, version: CiliumVersion = '1.19', kernel?: string): Settled {
  const { settings, problems } = readOptions(words(text), version)
  expect(problems.filter(({ severity }) => severity !== 'later')).toEqual([])
  return settle(settings, version, kernel)
}

/** What it says about them. */
export const said = (text: string, version?: CiliumVersion, kernel?: string): readonly string[] =>
  of(text, version, kernel).notices.map(({ kind, message }) => `${kind}: ${message}`)

/** Everything in BPF. */
export const fullHost = 'kube-proxy-replacement on; bpf-masquerade on'
