// A cluster with Cilium, as large as wanted: pods of many applications, a policy for each application, and one connection's
// datagrams from a pod to a pod of another node: lxc, overlay, wire, overlay, policy, lxc.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { clusterKnowledge } from '../src/boot/clusters.ts'
import { check } from '../src/model/check.ts'
import type { World } from '../src/model/model.ts'
import type { File } from '../src/syntax/ast.ts'
import { attempt } from '../src/syntax/expected.ts'
import type { Level } from '../src/trace/event.ts'
import { measureWork, type Work } from './interleave.ts'
import { bootWorld, type Scene, sceneOf } from './scene.ts'
import { estimate, ratio } from './statistics.ts'
import { type Row, whole } from './table.ts'

/** How large a cluster is; pods are spread evenly. */
export interface Size {
  readonly nodes: number
  readonly pods: number
  readonly policies: number
}

/** The numbers of two pods, of applications 1 and 0: the first may ask the second, which is on another node. */
export function flowOf({ policies }: Size): { readonly client: number; readonly server: number } {
  return { client: 1, server: policies }
}

function addressOf({ nodes, pods }: Size, pod: number): string {
  const each = pods / nodes
  return `10.${Math.floor(pod / each)}.0.${(pod % each) + 10}`
}

/** The spec of a cluster: application `k` may be asked by application `k + 1` alone. */
export function clusterSpec({ nodes, pods, policies }: Size): string {
  const hosts = Array.from(
    { length: nodes },
    (_, node) => `node n${node} { dev eth0 on lan 192.168.${node >> 7}.${(node & 127) + 1} }`,
  )
  const each = pods / nodes
  const { client, server } = flowOf({ nodes, pods, policies })
  const guests = Array.from({ length: pods }, (_, pod) => {
    const node = Math.floor(pod / each)
    const listens = pod === server ? ' { listen udp 7 }' : ''
    return `pod p${pod} on n${node} ${addressOf({ nodes, pods, policies }, pod)} labels app=a${pod % policies}${listens}`
  })
  const rules = Array.from(
    { length: policies },
    (_, app) => `policy only${app} on app=a${app} { ingress allow from app=a${(app + 1) % policies} udp 7 }`,
  )
  const options = 'routing tunnel vxlan\nkube-proxy-replacement on\nbpf-masquerade on'
  return [
    'scn 1',
    'topology {',
    `cluster cilium 1.19 {\n${options}\n}`,
    'net lan 192.168.0.0/16',
    ...hosts,
    ...guests,
    ...rules,
    '}',
    `scenario flow {\nf1: udp p${client}:4000 > p${server}:7 { send 20 }\n}\n`,
  ].join('\n')
}

/** A cluster's tree; checking it makes the agents decide. */
function parsed(size: Size): File {
  const text = clusterSpec(size)
  const tree = attempt({ name: 'cluster.scn', text }, text)
  if (!tree.ok) throw new Error(`the cluster does not parse at ${text.slice(tree.at, tree.at + 40)}`)
  return tree.file
}

function worldOf(file: File): World {
  const checked = check({ main: file, imports: new Map() }, undefined, clusterKnowledge)
  if (!checked.ok) throw new Error(checked.diagnostics[0]?.message)
  return checked.value.scenarios[0]!.cases[0]!.world
}

/** A booted cluster of a size, in which datagrams go from one pod to another. */
function clusterScene(size: Size, level?: Level): Scene {
  const world = worldOf(parsed(size))
  const { client, server } = flowOf(size)
  const address = addressOf(size, server)
  return sceneOf(world, bootWorld(world, level), { client: `p${client}`, server: `p${server}`, address })
}

const two: Size = { nodes: 2, pods: 20, policies: 10 }
const thousand: Size = { nodes: 10, pods: 1000, policies: 100 }
const large: Size = { nodes: 100, pods: 10_000, policies: 1000 }

const mebibyte = 2 ** 20

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Memory that something alive uses, in MiB. */
function alive(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / mebibyte
}

/** What a booted cluster occupies. */
function memoryRow(size: Size): Row {
  const before = alive()
  const scene = clusterScene(size)
  const used = alive() - before
  scene.send(1) // still needed, so still alive
  return { measure: `memory: Cilium, ${whole(size.pods)} pods`, estimate: estimate([used]), unit: 'MiB' }
}

/** Checking (the agents decide) and booting, for each pod. */
function bootRows(): Row[] {
  const sizes = [thousand, large]
  const work = sizes.map((size) => {
    const file = parsed(size)
    return { name: whole(size.pods), run: () => void bootWorld(worldOf(file)) }
  })
  const times = measureWork(work, { rounds: 5, warm: 1 })
  const perPod = sizes.map(({ pods }) => times.get(whole(pods))!.map((time) => time / pods))
  return [
    ...sizes.map(
      ({ pods }, at): Row => ({
        measure: `boot: Cilium, ${whole(pods)} pods`,
        estimate: estimate(perPod[at]!.map((time) => (time * pods) / 1000)),
        unit: 'ms',
      }),
    ),
    {
      measure: 'boot of a pod: Cilium, 10,000 against 1,000',
      estimate: ratio(perPod[1]!, perPod[0]!),
      unit: 'x',
      target: 1.3,
    },
  ]
}

const packets = 100

/** The same datagram in a large and in a small cluster, and how many a second with traces off and on. */
function packetRows(): Row[] {
  const scenes = { large: clusterScene(large), two: clusterScene(two) }
  let traced = clusterScene(two, 'hops')
  const work: Work[] = [
    { name: 'large', run: () => scenes.large.send(packets) },
    { name: 'two', run: () => scenes.two.send(packets) },
    {
      name: 'traced',
      prepare: () => {
        traced = clusterScene(two, 'hops')
      },
      run: () => {
        traced.send(packets)
        traced.text('hops')
      },
    },
  ]
  const times = measureWork(work, { rounds: 40, warm: 15 })
  const perSecond = (name: string): number[] => times.get(name)!.map((time) => (packets / time) * 1e6)
  return [
    {
      measure: 'packet: Cilium, 100 nodes against two',
      estimate: ratio(times.get('large')!, times.get('two')!),
      unit: 'x',
      target: 1.5,
    },
    { measure: 'packets through Cilium, trace off', estimate: estimate(perSecond('two')), unit: '/s' },
    {
      measure: 'packets through Cilium, traced as text',
      estimate: estimate(perSecond('traced')),
      unit: '/s',
    },
  ]
}

/** Boot time, memory and cost of a packet of a cluster of 100 nodes, 10,000 pods and 1,000 policies. */
export function clusterRows(): Row[] {
  return [...bootRows(), memoryRow(thousand), memoryRow(large), ...packetRows()]
}
