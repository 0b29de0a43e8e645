// The views of Cilium 1.10: what its own tools print, which is not always what those of 1.19 do.
import { describe, expect, test } from 'vitest'
import { scnIn } from './support/command.ts'

const versions = 'specs/cilium/two-versions-take-different-ways.scn'
const old = `${versions}::again[old]`
const current = `${versions}::again[new]`

async function show(selector: string, command: string) {
  return scnIn('.', ['show', selector, command, '--node', 'n1'])
}

describe('cilium on a node of 1.10', () => {
  test.each([
    ['cilium bpf tunnel list', /^TUNNEL +VALUE\n10\.0\.2\.0:0 +192\.168\.5\.12:0 +\n$/],
    [
      'cilium bpf ct list global',
      /^TCP OUT 10\.0\.1\.10:40007 -> 10\.0\.2\.20:80 expires=\d+ RxPackets=2 RxBytes=132 RxFlagsSeen=0x02 LastRxReport=\d+ TxPackets=5 TxBytes=314 TxFlagsSeen=0x06 LastTxReport=\d+ Flags=0x0013 \[ RxClosing TxClosing SeenNonSyn \] RevNAT=0 SourceSecurityID=20062 IfIndex=0 \n/,
    ],
    [
      'cilium bpf nat list',
      /^UDP IN 192\.168\.5\.12:8472 -> 192\.168\.5\.11:\d+ XLATE_DST 192\.168\.5\.11:\d+ Created=\d+sec HostLocal=1\n/,
    ],
    ['cilium bpf ipcache list', /\n10\.0\.2\.20\/32 +20062 0 192\.168\.5\.12 +\n/],
    ['cilium map get cilium_ipcache', /\n10\.0\.2\.20\/32 +20062 0 192\.168\.5\.12 +sync +\n/],
    [
      'cilium bpf endpoint list',
      /\n10\.0\.1\.10:0 +id=2403 +flags=0x0000 ifindex=\d+ +mac=[0-9A-F:]+ nodemac=/,
    ],
    ['cilium bpf policy get 2403', /\nAllow +Egress +ANY +ANY +NONE +314 +5\n/],
  ])('%s', async (command, text) => {
    expect((await show(old, command)).out).toMatch(text)
  })

  test('the tunnel map is gone in 1.19, and the ipcache has another name there', async () => {
    expect((await show(current, 'cilium bpf tunnel list')).code).not.toBe(0)
    expect((await show(old, 'cilium map get cilium_ipcache_v2')).code).not.toBe(0)
  })
})

test('monitor of 1.10 writes no comma, knows no identity of what arrives, and no trace of to-overlay', async () => {
  const { out } = await scnIn('.', ['trace', old, '--as', 'monitor'])
  const [, first = '', second = '', third = '', fourth = ''] = out.split('\n')
  // the hash is the socket's own, in the tunnel too, and gone behind a wire: 1.10 computes none
  const flow = / flow (0x[0-9a-f]{2,}) /.exec(first)?.[1]
  expect(first).toBe(
    `<- endpoint 2403 flow ${flow} identity 20062->unknown state new ifindex 0 orig-ip 0.0.0.0: 10.0.1.10:40007 -> 10.0.2.20:80 tcp SYN`,
  )
  const overlay = `-> overlay flow ${flow} identity 20062->unknown state new ifindex cilium_vxlan `
  expect(second.slice(0, overlay.length)).toBe(overlay)
  const network = `-> network flow ${flow} identity unknown->unknown state new ifindex 0 `
  expect(third.slice(0, network.length)).toBe(network)
  expect(fourth).toMatch(/^<- network flow 0x0 identity unknown->unknown state new ifindex eth0 /)
})

test('Hubble of 1.10 tells neither tunnels nor reasons', async () => {
  const flows = async (selector: string) =>
    (await scnIn('.', ['trace', selector, '--as', 'hubble'])).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).flow as Record<string, unknown>)
  const fields = async (selector: string) => new Set((await flows(selector)).flatMap(Object.keys))
  const before = await fields(old)
  const now = await fields(current)
  expect([...now].filter((name) => !before.has(name)).sort()).toEqual(['trace_reason', 'tunnel', 'uuid'])
})
