// What the recorder saw: taps on every device, the attached programs on entry and on return, the notifications.
import type { Program, RunContext } from '../../src/bpf/contract.ts'
import { runProgram } from '../../src/bpf/run.ts'
import { addTap } from '../../src/kernel/device/change.ts'
import type { NetDevice } from '../../src/kernel/device/device.ts'
import type { Machine } from '../../src/kernel/machine.ts'
import type { CiliumNode } from './datapath.ts'
import { eventFields, type Fields } from './events.ts'
import { normalised } from './normalise.ts'

/** Everything seen since `lines` was last emptied, as comparable text. */
export interface Watch {
  lines: string[]
  readonly proxied: boolean
  readonly version: 'v1.10' | 'v1.19'
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** A line for a frame at a tap. */
export function packetLine(ns: string, dev: string, dir: string, hex: string, proxied: boolean): string {
  return `packet ${ns}/${dev} ${dir} ${normalised(hex, proxied)}`
}

/** A line for a program on entry or return; the frame as it then is. */
export function programLine(
  kind: 'enter' | 'return',
  what: {
    readonly node: string
    readonly dev: string
    readonly dir: string
    readonly prog: string
    readonly mark: number
    /** On return; absent where it is not compared. */
    readonly cb?: readonly number[]
    readonly hex: string
    readonly ret?: number
  },
  proxied: boolean,
): string {
  const code = what.ret === undefined ? '' : ` = ${what.ret}`
  const cb = what.cb === undefined ? '' : `cb ${what.cb.join(',')} `
  const mark = `0x${what.mark.toString(16)}`
  return `${kind} ${what.node}/${what.dev}/${what.dir} ${what.prog}${code} mark ${mark} ${cb}${normalised(what.hex, proxied)}`
}

/** A line for a notification: all fields in one order. */
export function eventLine(node: string, fields: Fields, proxied: boolean): string {
  const words = Object.keys(fields)
    .sort()
    .map((name) => {
      const value = name === 'packet' ? normalised(String(fields[name]), proxied) : fields[name]
      return `${name} ${value}`
    })
  return `event ${node} ${words.join(' ')}`
}

/**
 * Whether the words of skb->cb that programs leave are compared: those of 1.19 clear what they found, those of 1.10 leave there what
 * the kernel's own layers had.
 */
export function comparesCb(version: Watch['version']): boolean {
  return version === 'v1.19'
}

/** XDP has no skb->cb. */
const noCb = [0, 0, 0, 0, 0]

function frameOf({ skb, xdp }: RunContext): string {
  if (skb !== undefined) return hexOf(skb.bytes.subarray(skb.start, skb.end))
  return xdp === undefined ? '' : hexOf(xdp.bytes.subarray(xdp.data, xdp.dataEnd))
}

/** The program with a line on entry and one on return, as the recorder's fentry and fexit gave them. */
export function watched(watch: Watch, program: Program, dev: NetDevice, dir: string): Program {
  const common = { node: dev.ns.name, dev: dev.name, dir, prog: program.name }
  const run = (context: RunContext): number => {
    const metadata = () => ({ mark: (context.skb?.mark ?? 0) >>> 0, hex: frameOf(context) })
    const words = (): number[] => Array.from(context.skb?.cb ?? noCb, (word) => word >>> 0)
    const enter = { ...common, ...metadata() }
    watch.lines.push(programLine('enter', enter, watch.proxied))
    const ret = runProgram(program, context)
    if (context.fault !== undefined) {
      watch.lines.push(`fault ${program.name}: ${context.fault.program}: ${context.fault.message}`)
    }
    watch.lines.push(
      programLine(
        'return',
        { ...common, ...metadata(), ...(comparesCb(watch.version) ? { cb: words() } : {}), ret },
        watch.proxied,
      ),
    )
    return ret
  }
  return { name: program.name, type: program.type, run }
}

/** Binds taps to the devices of nodes, pods and client, and reads the nodes' notifications. */
export function watchMachine(watch: Watch, machine: Machine, nodes: readonly CiliumNode[]): void {
  for (const ns of machine.namespaces.values()) {
    if (ns.name === 'underlay') continue
    for (const dev of ns.devices.values()) {
      if (dev.kind === 'loopback') continue
      addTap(dev, (_dev, skb, direction) => {
        const hex = hexOf(skb.bytes.subarray(skb.start, skb.tail))
        watch.lines.push(packetLine(ns.name, dev.name, direction, hex, watch.proxied))
      })
    }
  }
  for (const { number, maps } of nodes) {
    maps.cilium_events.onRecord = (record) =>
      watch.lines.push(eventLine(`n${number}`, eventFields(record, watch.version), watch.proxied))
  }
}
