// What `cilium bpf ... list` prints of a run: the egress gateway's entries, the counters of the datapath; and the identifiers of
// Hubble's flows.
import { expect, test } from 'vitest'
import { scnIn } from './support/command.ts'

const gateway = 'specs/cilium/pods-leave-by-an-egress-gateway.scn'

async function shownOn(node: string, selector: string, command: string): Promise<string> {
  const { code, out } = await scnIn('.', ['show', selector, command, '--node', node])
  expect(code).toBe(0)
  return out
}

test('cilium bpf egress list: on the gateway with the address, elsewhere without it', async () => {
  const selector = `${gateway}::through[tunnel]`
  expect(await shownOn('n1', selector, 'cilium bpf egress list')).toBe(
    `Source IP   Destination CIDR   Egress IP       Gateway IP
10.0.1.10   0.0.0.0/0          192.168.5.200   192.168.5.11
10.0.1.10   192.168.5.101/32   192.168.5.200   Excluded CIDR
10.0.2.10   0.0.0.0/0          192.168.5.200   192.168.5.11
10.0.2.10   192.168.5.101/32   192.168.5.200   Excluded CIDR
`,
  )
  expect(await shownOn('n2', selector, 'cilium bpf egress list')).toContain(
    '10.0.2.10   0.0.0.0/0          0.0.0.0     192.168.5.11\n',
  )
})

test('cilium bpf metrics list: by reason, direction and place in the source', async () => {
  const spec = 'specs/cilium/a-denied-packet-is-dropped-by-the-policy-of-its-endpoint.scn::denied'
  const out = await shownOn('n1', spec, 'cilium bpf metrics list')
  const [title = '', ...rows] = out.trimEnd().split('\n')
  expect(title.split(/ {2,}/)).toEqual(['REASON', 'DIRECTION', 'PACKETS', 'BYTES', 'LINE', 'FILE'])
  const dropped = rows.map((row) => row.split(/ {2,}/)).filter(([reason]) => reason === 'Policy denied')
  expect(dropped).toHaveLength(1)
  const [[, direction, packets, , , file] = []] = dropped
  expect([direction, packets, file]).toEqual(['INGRESS', '11', 'bpf_lxc.c'])
})

test('a list without entries says so', async () => {
  const spec = 'specs/cilium/a-pod-reaches-a-pod-through-the-overlay.scn'
  expect(await shownOn('n1', spec, 'cilium bpf egress list')).toBe('No entries found.\n')
})

test('every flow of Hubble has an identifier of its own, the same in every run', async () => {
  const flows = async (): Promise<readonly string[]> => {
    const { out } = await scnIn('.', ['trace', gateway, '--as', 'hubble'])
    return out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).flow.uuid)
  }
  const first = await flows()
  expect(new Set(first).size).toBe(first.length)
  expect(await flows()).toEqual(first)
})

test('a flow says who had its addresses then: a pod that is deleted later, an identity that changed', async () => {
  const { out } = await scnIn('.', [
    'trace',
    'specs/cilium/changes/pods-come-and-go.scn::goes[tunnel]',
    '--as',
    'hubble',
  ])
  const flows = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).flow)
  const first = flows.find(({ IP }) => IP.source === '10.0.1.10' && IP.destination === '10.0.2.20')
  expect(first.source).toMatchObject({ pod_name: 'first', namespace: 'default' })
  const dropped = flows.find(({ verdict }) => verdict === 'DROPPED')
  expect(dropped.destination.pod_name).toBeUndefined()
})
