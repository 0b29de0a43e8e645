// Targets that write marks and fields beside the packet: xt_mark.c, xt_connmark.c, xt_CLASSIFY.c.
import { didYouMean } from '../../../base/closest.ts'
import {
  type Action,
  actionVerdict,
  type ChainPacket,
  type Given,
  type RuleScope,
  type TargetKind,
  type TargetSpec,
} from '../extension.ts'
import { find, flag, read, valueText, withValue } from '../match/given.ts'
import { hex, type Masked, parseMasked, parseNumber } from '../values.ts'

const { next } = actionVerdict

/** Sets skb->mark and remembers that the packet differs. */
function writeMark(packet: ChainPacket, mark: number): void {
  if (packet.skb.mark === mark) return
  packet.skb.mark = mark
  packet.changed = true
}

/** Which bits are cleared and which are flipped: every form of writing a mark is this one. */
interface Rewrite {
  readonly clear: number
  readonly flip: number
}

const rewrites: ReadonlyMap<string, (given: Masked) => Rewrite> = new Map([
  ['--set-xmark', ({ value, mask }: Masked) => ({ clear: mask, flip: value })],
  ['--set-mark', ({ value, mask }: Masked) => ({ clear: (value | mask) >>> 0, flip: value })],
  ['--and-mark', ({ value }: Masked) => ({ clear: ~value >>> 0, flip: 0 })],
  ['--or-mark', ({ value }: Masked) => ({ clear: value, flip: value })],
  ['--xor-mark', ({ value }: Masked) => ({ clear: 0, flip: value })],
])

function readRewrite(option: Given, scope: RuleScope): Rewrite | undefined {
  const masked = option.name === '--set-xmark' || option.name === '--set-mark'
  const parse = (text: string): Masked | undefined => {
    const value = masked ? parseMasked(text) : undefined
    const number = masked ? undefined : parseNumber(text)
    return value ?? (number === undefined ? undefined : { value: number, mask: 0xffff_ffff })
  }
  const wanted = read(option, scope, parse, 'mark')
  return wanted && rewrites.get(option.name)?.(wanted)
}

function rewritten(mark: number, { clear, flip }: Rewrite): number {
  return ((mark & ~clear) ^ flip) >>> 0
}

const markOptions = [...rewrites.keys()].map((name) => withValue(name))

const mark: TargetKind = {
  name: 'MARK',
  options: markOptions,
  read: (given, scope, word): TargetSpec | undefined => {
    const [option, another] = given
    if (another !== undefined)
      return scope.report(another.word, `\`-j MARK\` has \`${option?.name}\` already`)
    if (option === undefined)
      return scope.report(word, '`-j MARK` needs `--set-xmark` or another way to set it')
    const rewrite = readRewrite(option, scope)
    if (rewrite === undefined) return undefined
    const action: Action = (packet) => {
      writeMark(packet, rewritten(packet.skb.mark, rewrite))
      return next
    }
    return { text: `--set-xmark ${hex(rewrite.flip)}/${hex(rewrite.clear)}`, bind: () => action }
  },
}

function readMask(given: readonly Given[], name: string, scope: RuleScope): number | undefined {
  const option = find(given, name)
  return option === undefined ? 0xffff_ffff : read(option, scope, (text) => parseNumber(text), 'mask')
}

/** save: connection mark from the packet's; restore: the other way (connmark_tg). */
function transfer(save: boolean, ctMask: number, nfMask: number): Action {
  return (packet) => {
    const { nfct } = packet.skb
    if (nfct === undefined) return next
    if (save) nfct.mark = ((nfct.mark & ~ctMask) ^ (packet.skb.mark & nfMask)) >>> 0
    else writeMark(packet, ((packet.skb.mark & ~nfMask) ^ (nfct.mark & ctMask)) >>> 0)
    return next
  }
}

function readTransfer(given: readonly Given[], scope: RuleScope, save: boolean): TargetSpec | undefined {
  const both = find(given, '--mask')
  const ctMask = readMask(given, both === undefined ? '--ctmask' : '--mask', scope)
  const nfMask = readMask(given, both === undefined ? '--nfmask' : '--mask', scope)
  if (ctMask === undefined || nfMask === undefined) return undefined
  const text = `--${save ? 'save' : 'restore'}-mark --nfmask ${hex(nfMask)} --ctmask ${hex(ctMask)}`
  return { text, need: 'conntrack', bind: () => transfer(save, ctMask, nfMask) }
}

const connmark: TargetKind = {
  name: 'CONNMARK',
  options: [
    ...markOptions,
    flag('--save-mark'),
    flag('--restore-mark'),
    withValue('--mask'),
    withValue('--ctmask'),
    withValue('--nfmask'),
  ],
  read: (given, scope, word): TargetSpec | undefined => {
    const operations = given.filter(({ name }) => !name.endsWith('mask'))
    const [option, another] = operations
    if (another !== undefined)
      return scope.report(another.word, `\`-j CONNMARK\` has \`${option?.name}\` already`)
    if (option?.name === '--save-mark') return readTransfer(given, scope, true)
    if (option?.name === '--restore-mark') return readTransfer(given, scope, false)
    if (option === undefined)
      return scope.report(word, '`-j CONNMARK` needs `--set-xmark`, `--save-mark` or `--restore-mark`')
    const rewrite = readRewrite(option, scope)
    if (rewrite === undefined) return undefined
    const action: Action = ({ skb: { nfct } }) => {
      if (nfct !== undefined) nfct.mark = rewritten(nfct.mark, rewrite)
      return next
    }
    return {
      text: `--set-xmark ${hex(rewrite.flip)}/${hex(rewrite.clear)}`,
      need: 'conntrack',
      bind: () => action,
    }
  },
}

function parseClass(text: string): number | undefined {
  const found = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})$/.exec(text)
  if (found === null) return undefined
  return Number.parseInt(found[1] ?? '', 16) * 0x1_0000 + Number.parseInt(found[2] ?? '', 16)
}

const classify: TargetKind = {
  name: 'CLASSIFY',
  options: [withValue('--set-class')],
  hooks: ['FORWARD', 'OUTPUT', 'POSTROUTING'],
  read: (given, scope, word): TargetSpec | undefined => {
    const option = find(given, '--set-class')
    if (option === undefined)
      return scope.report(
        word,
        '`-j CLASSIFY` needs `--set-class`',
        didYouMean(valueText(given[0]), ['--set-class']),
      )
    const value = read(option, scope, parseClass, 'class as `MAJOR:MINOR`')
    if (value === undefined) return undefined
    const part = (number: number): string => number.toString(16).padStart(4, '0')
    return {
      text: `--set-class ${part(Math.floor(value / 0x1_0000))}:${part(value % 0x1_0000)}`,
      bind: () => (packet) => {
        packet.skb.priority = value
        return next
      },
    }
  },
}

/** Targets that write marks. */
export const markTargets: readonly TargetKind[] = [mark, connmark, classify]
