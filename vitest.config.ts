import { defineConfig } from 'vitest/config'

// CI asks for a machine-readable copy of the results beside what people read.
const results = process.env['SCN_TEST_RESULTS']

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
    testTimeout: 60_000,
    reporters:
      results === undefined ? ['default'] : ['default', ['json', { outputFile: `${results}/vitest.json` }]],
  },
})
