// Whether a case can be tried on this kernel at all, and if not, why: found out by asking the kernel, or known because
// the model leaves out what the kernel would do.
import { spawnSync } from 'node:child_process'
import type { DeviceModel } from '../model/device-model.ts'
import type { CaseModel, World } from '../model/model.ts'
import type { ProgramModel } from '../model/program.ts'
import type { RulesetModel } from '../model/ruleset.ts'
import { isIpv4 } from '../net/address.ts'
import { Namespaces } from './namespaces.ts'
import { KernelRefused, type Libc } from './native.ts'

/** What the running kernel can make. */
export interface Abilities {
  readonly release: string
  /** Device kinds that it has not. */
  readonly missing: ReadonlySet<string>
}

const probes: Readonly<Record<string, string>> = {
  veth: 'link add a0 type veth peer name a1',
  bridge: 'link add a0 type bridge',
  dummy: 'link add a0 type dummy',
  vxlan: 'link add a0 type vxlan id 1 dstport 4789',
  geneve: 'link add a0 type geneve id 1 remote 10.0.0.1',
  ipip: 'link add a0 type ipip remote 10.0.0.1 local 10.0.0.2',
  netkit: 'link add a0 type netkit',
  wireguard: 'link add a0 type wireguard',
}

const stacked: Readonly<Record<string, string>> = {
  vlan: 'link add link a1 name a2 type vlan id 7',
  macvlan: 'link add link a1 name a2 type macvlan',
}

/** Tries every kind of device in a namespace of its own. */
export function probe(libc: Libc): Abilities {
  const missing = new Set<string>()
  const attempt = (kind: string, lines: readonly string[]): void => {
    const namespaces = new Namespaces(libc)
    try {
      namespaces.add('probe')
      namespaces.batch('probe', ['ip'], lines)
    } catch (problem) {
      if (!(problem instanceof KernelRefused)) throw problem
      missing.add(kind)
    } finally {
      namespaces.close()
    }
  }
  for (const [kind, line] of Object.entries(probes)) attempt(kind, [line])
  for (const [kind, line] of Object.entries(stacked)) attempt(kind, [probes['veth'] ?? '', line])
  const release = spawnSync('uname', ['-r'], { encoding: 'utf8' }).stdout.trim()
  return { release, missing }
}

/** Whether any address or packet of a case is IPv6. */
export function speaksIpv6(model: CaseModel): boolean {
  const addresses = model.world.namespaces.flatMap(({ devices }) =>
    devices.flatMap((device) => device.addresses.map(({ address }) => address)),
  )
  if (addresses.some((address) => !isIpv4(address))) return true
  return model.steps.some((step) => step.kind === 'packet' && isIpv6Frame(step.frame))
}

function isIpv6Frame(frame: Uint8Array): boolean {
  return frame[12] === 0x86 && frame[13] === 0xdd
}

/** Whether a program makes frames longer behind their end. */
function growsTails({ body }: ProgramModel): boolean {
  return body.items.some(
    (item) =>
      item.kind === 'program-rule' &&
      item.actions.some(
        (action) =>
          action.kind === 'resize' &&
          action.part === 'adjust-tail' &&
          !(action.bytes.kind === 'word' && action.bytes.text.startsWith('-')),
      ),
  )
}

/** A veth that stands for a card has the room behind a frame that its skb has (skb_pp_cow_data), a card the rest of a page. */
function hasOtherRoom({ kind, attachments }: DeviceModel, { programs }: World): boolean {
  if (kind !== 'phys') return false
  const native = attachments.filter(({ hook, mode }) => hook === 'xdp' && mode !== 'generic')
  return native.some(({ program }) => programs.some((each) => each.name === program && growsTails(each)))
}

function deviceReason(device: DeviceModel, { missing }: Abilities): string | undefined {
  if (missing.has(device.kind)) return `this kernel has no ${device.kind} devices`
  if (device.attachments.some(({ mode }) => mode === 'offload')) return 'no card here runs XDP offloaded'
  if (device.kind === 'netkit') return 'netkit devices are not tried'
  if (device.qdisc !== undefined) return 'queueing disciplines are not tried'
  return undefined
}

/** `statistic` and `numgen` that draw one of several. */
const drawsRules = /--mode random|numgen random mod (?!1\b)/

/** Read-only outside the first namespace (nf_conntrack_standalone_init_sysctl). */
const tableSize = 'net.netfilter.nf_conntrack_max'

const sealed = 'what IPsec encrypts is a stand-in here'

function hasStates({ tool, text }: RulesetModel): boolean {
  return tool === 'xfrm' && /^\s*state\s/m.test(text)
}

function worldReason(world: World, abilities: Abilities): string | undefined {
  if (world.cilium !== undefined) return 'programs of Cilium are not loaded into this kernel'
  for (const namespace of world.namespaces) {
    if (namespace.kernel !== undefined && !abilities.release.startsWith(`${namespace.kernel}.`))
      return `it asks for kernel ${namespace.kernel}`
    if (namespace.rulesets?.some(({ tool }) => tool === 'ipvs') === true)
      return 'virtual services of IPVS are not tried'
    if (namespace.rulesets?.some(hasStates) === true) return sealed
    if (namespace.rulesets?.some(({ text }) => drawsRules.test(text)) === true)
      return 'chance decides which rule matches'
    if (namespace.sysctls.some(({ key }) => key === tableSize))
      return `\`${tableSize}\` belongs to the whole machine`
    for (const device of namespace.devices) {
      const reason = hasOtherRoom(device, world)
        ? 'the room behind a frame is that of a veth here'
        : deviceReason(device, abilities)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}

function findDevice(world: World, namespace: string, device: string): DeviceModel | undefined {
  return world.namespaces.find(({ name }) => name === namespace)?.devices.find(({ name }) => name === device)
}

/** Why a case cannot be tried here; undefined when it can. */
export function whyNot(model: CaseModel, abilities: Abilities): string | undefined {
  const reason = worldReason(model.world, abilities)
  if (reason !== undefined) return reason
  for (const step of model.steps) {
    if (step.kind === 'packet') {
      const kind = findDevice(model.world, step.namespace, step.device)?.kind
      if (kind !== 'phys' && kind !== 'veth')
        return `no frame can be made to arrive at a device of kind ${kind ?? 'lo'}`
      if (step.frame.length < 14) return 'a frame without a whole Ethernet header cannot be sent'
    }
    if (step.kind === 'flow' && step.departAfter !== undefined) return 'SO_TXTIME is not tried'
    const item = step.kind === 'change' ? step.change.item : undefined
    if (item?.kind === 'ruleset' && item.ruleset.tool === 'ipvs')
      return 'virtual services of IPVS are not tried'
    if (item?.kind === 'ruleset' && hasStates(item.ruleset)) return sealed
    if (item?.kind === 'sysctl' && item.key === tableSize)
      return `\`${tableSize}\` belongs to the whole machine`
    const later = item?.kind === 'dev' ? deviceReason(item.device, abilities) : undefined
    if (later !== undefined) return later
  }
  return undefined
}
