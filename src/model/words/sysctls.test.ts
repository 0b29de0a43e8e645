import { expect, test } from 'vitest'
import { sysctlDefaults } from '../../kernel/sysctl.ts'
import { sysctlKeys } from './sysctls.ts'

// The language column and the world column do not import each other; only this test sees both lists.
test('the language knows exactly the sysctls that the kernel reads', () => {
  const kernel = Object.keys(sysctlDefaults).map((key) => key.replace(/(tcp_rmem|_range)\.\w+$/, '$1'))
  expect([...sysctlKeys].toSorted()).toEqual([...new Set(kernel)].toSorted())
})
