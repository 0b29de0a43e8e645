// The steps of a case on the real kernel.
import type { NetDevice } from '../kernel/device/device.ts'
import { linkWatchNanoseconds } from '../kernel/transmit.ts'
import type { FlowStep, HostChange, Step } from '../model/step.ts'
import { formatPrefix } from '../net/prefix.ts'
import { changeTitle } from '../run/refused-change.ts'
import type { Changes } from './changes.ts'
import { DnsFlow, DnsStreamFlow } from './dns-flows.ts'
import { HttpFlow, type RealFlow, TcpFlow, UdpFlow } from './flows.ts'
import type { Atom, ModelRun } from './model-run.ts'
import { KernelRefused } from './native.ts'
import { PingFlow } from './ping-flow.ts'
import { changeRules } from './rulesets.ts'
import { addressLine, fdbLine, macText, neighbourLine, routeLine, ruleLine } from './table-lines.ts'
import type { RealWorld } from './world.ts'

/** More than the model needed: a busy machine is slow. */
const marginMs = 400

/** Carries out the atoms of a case. */
export class RealSteps {
  readonly flows = new Map<string, RealFlow>()
  /** When each atom was over, in nanoseconds since the first began; the last entry is the end of the case. */
  readonly pace: number[] = []
  /** What the kernel refused of the case's changes, in their order. */
  readonly refusals: string[] = []
  private readonly world: RealWorld
  private readonly changes: Changes
  private readonly run: ModelRun
  private readonly clock: () => number
  private readonly began: number
  /** Virtual nanoseconds of the model's steps so far. */
  private passed = 0
  /** Cards whose lost carrier nobody has noticed yet in the model. */
  private cutCards: { readonly card: NetDevice; readonly until: number }[] = []

  /** `clock` tells milliseconds. */
  constructor(world: RealWorld, changes: Changes, run: ModelRun, clock: () => number) {
    this.world = world
    this.changes = changes
    this.run = run
    this.clock = clock
    this.began = clock()
  }

  /** Takes one step and waits until as much has happened as in the model. */
  take({ step, elapsed, frames }: Atom): void {
    this.world.punctuality.newStep()
    if (step.kind === 'link' && !step.up) this.cut(step.namespace, step.device)
    this.act(step, elapsed / 1e6)
    if (step.kind === 'link' || step.kind === 'set' || step.kind === 'change') this.world.ground.settle()
    this.world.settle(frames)
    this.passed += elapsed
    this.watchCarriers()
    this.note()
  }

  /** A veth loses its carrier with its peer. */
  private cut(namespace: string, device: string): void {
    const { ground } = this.world
    const peer = ground.around.booted(namespace).devicesByName.get(device)?.peer
    if (peer !== undefined && ground.hasCarrier(peer.ns.name, peer.name))
      this.cutCards.push({ card: peer, until: this.passed + linkWatchNanoseconds })
  }

  /**
   * In the model the link watcher notices a lost carrier after a second. The real one looks once a second at the devices
   * of all namespaces at once: what goes on in others, of another process too, makes it come sooner.
   */
  private watchCarriers(): void {
    this.cutCards = this.cutCards.filter(({ until }) => until > this.passed)
    for (const { card } of this.cutCards)
      if (!this.world.ground.hasCarrier(card.ns.name, card.name)) this.world.punctuality.disturbed = true
  }

  /** The case is over. */
  over(): void {
    this.pace.pop()
    this.note()
  }

  /** Milliseconds since the last atom or the case was over. */
  sinceOver(): number {
    return this.clock() - this.began - (this.pace.at(-1) ?? 0) / 1e6
  }

  private note(): void {
    this.pace.push(Math.round((this.clock() - this.began) * 1e6))
  }

  private act(step: Step, elapsed: number): void {
    const { world, changes } = this
    if (step.kind === 'add-pod') return changes.addPod(step)
    changes.note(step)
    switch (step.kind) {
      case 'packet':
        return world.inject(step.namespace, step.device, step.frame)
      case 'flow':
        return this.flow(step, step.patience === undefined ? elapsed + marginMs : step.patience / 1e6)
      case 'wait':
        return world.pass(step.duration / 1e6)
      case 'link':
        this.watchCarriers()
        return world.ground.link(step.namespace, step.device, step.up)
      case 'set':
        if (step.mtu !== undefined) this.ip(step.namespace, `link set ${step.device} mtu ${step.mtu}`)
        if (step.mac !== undefined)
          this.ip(step.namespace, `link set ${step.device} address ${macText(step.mac)}`)
        for (const flag of ['hairpin', 'isolated'] as const) {
          const on = step[flag]
          if (on === undefined) continue
          this.ip(step.namespace, `link set ${step.device} type bridge_slave ${flag} ${on ? 'on' : 'off'}`)
        }
        return
      case 'delete':
        if (step.device === undefined) changes.deleteNamespace(step.namespace)
        else changes.deleteDevice(step.namespace, step.device)
        return
      case 'change':
        return this.tryChange(step.change)
    }
  }

  private flow(step: FlowStep, patience: number): void {
    const known = step.first ? undefined : this.flows.get(step.label)
    const flow = known ?? this.start(step)
    this.flows.set(step.label, flow)
    for (const operation of step.operations) flow.operate(operation, patience)
  }

  private start(step: FlowStep): RealFlow {
    const port = this.run.flows.get(step.label)?.localName?.port
    const chosen = port === undefined || port === 0 ? undefined : port
    switch (step.protocol) {
      case 'tcp':
        return new TcpFlow(this.world, step, chosen)
      case 'http':
        return new HttpFlow(this.world, step, chosen)
      case 'udp':
        return new UdpFlow(this.world, step, chosen)
      case 'dns':
        return step.stream === true
          ? new DnsStreamFlow(this.world, step, chosen)
          : new DnsFlow(this.world, step, chosen)
      case 'icmp':
        return new PingFlow(this.world, step, undefined)
    }
  }

  private ip(namespace: string, line: string): void {
    this.world.ground.namespaces.batch(namespace, ['ip'], [line])
  }

  /** What `ip` and `bridge` are refused belongs to the case; rules that a tool does not take end it. */
  private tryChange(change: HostChange): void {
    try {
      this.change(change)
    } catch (problem) {
      if (!(problem instanceof KernelRefused) || change.item.kind === 'ruleset') throw problem
      this.refusals.push(`${changeTitle(change)}: ${problem.errno.split('\n')[0]}`)
    }
  }

  private change({ namespace, verb, item }: HostChange): void {
    const how = verb === 'del' ? 'del' : 'add'
    switch (item.kind) {
      case 'route':
        return this.ip(namespace, routeLine(verb, item.route))
      case 'rule':
        return this.world.ground.namespaces.batch(
          namespace,
          ['ip', `-${item.rule.family}`],
          [ruleLine(how, item.rule)],
        )
      case 'neigh':
        return this.ip(namespace, neighbourLine(verb === 'del' ? 'del' : 'replace', item.neighbour))
      case 'fdb':
        return this.world.ground.namespaces.batch(namespace, ['bridge'], [fdbLine(how, item.fdb, false)])
      case 'sysctl':
        return this.world.ground.sysctl(namespace, item.key, item.value)
      case 'listen': {
        const { protocol, port, address, transparent } = item
        return this.world.listen(namespace, {
          protocol,
          port,
          app: 'accept',
          ...(address === undefined ? {} : { address }),
          ...(transparent === undefined ? {} : { transparent }),
        })
      }
      case 'addr':
        return this.ip(
          namespace,
          verb === 'del'
            ? `addr del ${formatPrefix(item.prefix)} dev ${item.device}`
            : addressLine(item.device, item.prefix).replace('addr replace', 'addr add'),
        )
      case 'ruleset':
        return changeRules(this.world.ground.namespaces, namespace, { verb, ruleset: item.ruleset })
      case 'dev':
        if (verb === 'del') this.changes.deleteDevice(namespace, item.device.name)
        else this.changes.addDevice(namespace, item.device)
        return
    }
  }
}
