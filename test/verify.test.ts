// The real kernel as a second opinion of every spec and example. Needs Linux, root and koffi; without them everything here
// is skipped and says why. The last test prints what was found, CI prints it again at its end.
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { beforeAll, describe, expect, test } from 'vitest'
import { load } from '../src/cli/load.ts'
import { scnIn } from './support/command.ts'
import { realKernel } from './support/real-kernel.ts'

interface Report {
  readonly summary: string
  readonly kernel: { readonly release: string; readonly missing: readonly string[] }
  readonly verified: number
  readonly rejected: { readonly meant: number; readonly wrong: number }
  readonly reasons: Readonly<Record<string, number>>
  readonly cases: readonly {
    readonly selector: string
    readonly kind: string
    readonly differences?: readonly unknown[]
  }[]
}

const kernel = realKernel()
const none = typeof kernel === 'string'

test.runIf(none)(`the real kernel cannot be asked: ${String(kernel)}`, () => {
  console.log(`scn verify: nothing, because ${String(kernel)}`)
})

/** The folders whose specs are verified, each a test of its own. */
const folders = [
  'examples',
  ...readdirSync('specs', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `specs/${name}`),
]

/** Reasons to skip a case whatever the machine: the case itself is not for the kernel, or takes too long. */
const ofTheCase = [
  'programs of Cilium are not loaded into this kernel',
  'it takes more than 5 s of real time (--slow)',
  'virtual services of IPVS are not tried',
  'queueing disciplines are not tried',
  'what IPsec encrypts is a stand-in here',
  'chance decides which rule matches',
  '`net.netfilter.nf_conntrack_max` belongs to the whole machine',
  'netkit devices are not tried',
  'the room behind a frame is that of a veth here',
  'SO_TXTIME is not tried',
  'no card here runs XDP offloaded',
  'a frame without a whole Ethernet header cannot be sent',
  'it reaches the limit hopsMax',
  'a kube-proxy cluster is not available yet',
]

/** Whether a reason is that this machine lacks something, and it really does. */
function isLacking(reason: string, { release, missing }: Report['kernel']): boolean {
  const [, device] = /^this kernel has no (\w+) devices$/.exec(reason) ?? []
  if (device !== undefined) return missing.includes(device)
  const [, tool] = /^`([\w-]+)` cannot be run; is it installed\?$/.exec(reason) ?? []
  if (tool !== undefined) return spawnSync(tool, ['--version']).error !== undefined
  const [, asked] = /^it asks for kernel (\S+)$/.exec(reason) ?? []
  if (asked !== undefined) return !release.startsWith(`${asked}.`)
  return /^this (?:kernel has no tc action \w+|machine has no cgroup2 mounted)$/.test(reason)
}

/** So many cases, at least, a kernel that lacks nothing is asked: fewer means that something is left out in silence. */
const leastAsked = 750

describe.skipIf(none)('scn verify agrees', () => {
  let code = -1
  let report: Report

  beforeAll(async () => {
    // most of the time is waiting, so more of them than processors may wait at once
    const jobs = String(2 * availableParallelism())
    const ran = await scnIn('.', ['verify', 'examples', 'specs', '-j', jobs, '--json'])
    expect(ran.err).toBe('')
    code = ran.code
    report = JSON.parse(ran.out) as Report
    const results = process.env['SCN_TEST_RESULTS']
    if (results !== undefined) writeFileSync(`${results}/verify.json`, ran.out)
  }, 900_000)

  test.each(folders)('on everything in %s', (folder) => {
    const cases = report.cases.filter(({ selector }) => selector.startsWith(`${folder}/`))
    expect(cases.length).toBeGreaterThan(0)
    const differing = cases.filter(({ kind }) => kind === 'differs')
    expect(
      differing.map(({ selector, differences }) => ({
        selector,
        first: differences?.[0],
        of: differences?.length,
      })),
    ).toEqual([])
  })

  test('and is asked every case of every file that checks', () => {
    const all = folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.scn'))
        .map((name) => load('.', `${folder}/${name}`)),
    )
    const cases = all.flatMap((file) => (file.ok ? file.value.scenarios.flatMap((each) => each.cases) : []))
    expect(report.cases.length).toBe(cases.length)
    expect(report.rejected).toEqual({ meant: all.filter(({ ok }) => !ok).length, wrong: 0 })
  })

  test('or is not, for a reason that is known and true', () => {
    const lacking = Object.entries(report.reasons).filter(([reason]) => isLacking(reason, report.kernel))
    const unknown = Object.keys(report.reasons).filter(
      (reason) => !ofTheCase.includes(reason) && !lacking.some(([known]) => known === reason),
    )
    expect(unknown).toEqual([])
    const asked = report.verified + lacking.reduce((sum, [, count]) => sum + count, 0)
    expect(asked).toBeGreaterThanOrEqual(leastAsked)
  })

  test('and says so', () => {
    console.log(`scn verify: ${report.summary}`)
    expect(report.summary).toMatch(
      /^\d+ verified, \d+ skipped \(.*\), 0 differing, \d+ files rejected as meant$/,
    )
    expect(code).toBe(0)
  })
})

/** Processes of a group, but for those that only wait to be counted. */
function livingIn(group: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const [state, , its] = readFileSync(`/proc/${name}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
        return Number(its) === group && state !== 'Z'
      } catch {
        return false // it has just ended
      }
    })
}

const command = ['--import', 'tsx', 'src/cli/main.ts', 'verify']

describe.skipIf(none)('scn verify says it in one sentence', () => {
  test('that it was interrupted, and leaves nothing behind', { timeout: 120_000 }, async () => {
    // a process group of its own, because a terminal interrupts all of them
    const child = spawn(process.execPath, [...command, '-j', '2', 'examples', 'specs/socket'], {
      detached: true,
    })
    const { pid = 0 } = child
    let [out, err] = ['', '']
    child.stderr.on('data', (text) => (err += String(text)))
    child.stdout.on('data', (text) => {
      if (out === '') process.kill(-pid, 'SIGINT')
      out += String(text)
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(err).toMatch(/^\nscn: interrupted after \d+ of \d+ files; nothing is left behind\n$/)
    expect(out).toMatch(/\d+ verified, \d+ skipped.*, 0 differing\n$/)
    expect(code).toBe(130)
    await expect.poll(() => livingIn(pid), { timeout: 10_000 }).toEqual([])
  })

  test('that it may not', { timeout: 60_000 }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...command, 'examples'], {
      encoding: 'utf8',
      uid: 65_534,
      gid: 65_534,
    })
    expect(stderr).toMatch(/^scn: the real kernel cannot be asked: .*CAP_\w+.* needed\n$/)
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' })
  })
})
