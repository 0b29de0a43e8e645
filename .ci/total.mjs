// Adds up what the two commands reported: cases of `scn run examples` (JSON report) and tests of Vitest (JSON report).
// The last line is `N passed, N failed`; the exit code follows it and the commands' own.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder = '', examples = '1', tests = '1'] = process.argv.slice(2)
const read = (name) => {
  const path = join(folder, name)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

const cases = read('examples.json')
const vitest = read('vitest.json')
const passed = (cases?.totals.passed ?? 0) + (vitest?.numPassedTests ?? 0)
// A command that failed without saying what failed counts as one failure, so that the total cannot look green.
const silent = (report, code, failed) =>
  (code !== '0' && !(failed > 0) ? 1 : 0) + (report === undefined && code === '0' ? 1 : 0)
const failedCases = cases?.totals.failed ?? 0
const failedTests = vitest?.numFailedTests ?? 0
const failed =
  failedCases + failedTests + silent(cases, examples, failedCases) + silent(vitest, tests, failedTests)
const verified = read('verify.json')
if (verified !== undefined) console.log(`scn verify: ${verified.summary}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
