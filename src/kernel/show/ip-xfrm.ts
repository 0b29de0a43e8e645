// `ip xfrm state` and `ip xfrm policy`, as iproute2 6.1 prints them: the newest first.
import { formatIp } from '../../net/address.ts'
import { formatPrefix } from '../../net/prefix.ts'
import type { Namespace } from '../namespace.ts'
import { directions, type Policy, type Selector, type Template, type XfrmMark } from '../xfrm/policy.ts'
import { protocolsByName, typedProtocols } from '../xfrm/selector-words.ts'
import type { XfrmState } from '../xfrm/state.ts'

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`
const hex8 = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
const seqRange = 0x1_0000_0000

function protocolText(protocol: number): string {
  const [name = String(protocol)] = [...protocolsByName].find(([, number]) => number === protocol) ?? []
  return name
}

function selectorText({ source, destination, protocol, sport, dport }: Selector): string {
  const [first, second] = typedProtocols.includes(protocol) ? ['type', 'code'] : ['sport', 'dport']
  const words = [
    `src ${formatPrefix(source)} dst ${formatPrefix(destination)}`,
    ...(protocol === 0 ? [] : [`proto ${protocolText(protocol)}`]),
    ...(sport.mask === 0 ? [] : [`${first} ${sport.value}`]),
    ...(dport.mask === 0 ? [] : [`${second} ${dport.value}`]),
  ]
  return `${words.join(' ')} `
}

function markText(word: string, { value, mask }: XfrmMark): readonly string[] {
  return mask === 0 && value === 0 ? [] : [`${word} ${hex(value)}/${hex(mask)}`]
}

function bitmapOf({ received, seen }: XfrmState, first: number): number {
  let bits = 0
  for (let bit = 0; bit < 32; bit += 1) if (seen.has(received - first - bit)) bits |= 1 << bit
  return bits
}

/** The bitmap of 64-bit numbers begins at a word of its own for each number. */
function esnBitmap(state: XfrmState): readonly string[] {
  const words = Math.ceil(state.replayWindow / 32)
  const bits = new Array<number>(words).fill(0)
  for (const number of state.seen) {
    const at = (number - 1) % state.replayWindow
    bits[at >>> 5] = (bits[at >>> 5] as number) | (1 << (at & 31))
  }
  const lines: string[] = []
  for (let at = 0; at < words; at += 8)
    lines.push(
      `\t ${bits
        .slice(at, at + 8)
        .map(hex8)
        .join(' ')} `,
    )
  return lines
}

function replayLines(state: XfrmState): readonly string[] {
  const { received, sent, replayWindow, esn } = state
  if (!esn)
    return [
      `\tanti-replay context: seq ${hex(received)}, oseq ${hex(sent)}, bitmap 0x${hex8(bitmapOf(state, 0))}`,
    ]
  const half = (number: number): readonly [number, number] => [
    Math.floor(number / seqRange),
    number % seqRange,
  ]
  const [high, low] = half(received)
  const [outHigh, outLow] = half(sent)
  return [
    '\tanti-replay esn context:',
    `\t seq-hi ${hex(high)}, seq ${hex(low)}, oseq-hi ${hex(outHigh)}, oseq ${hex(outLow)}`,
    `\t replay_window ${replayWindow}, bitmap-length ${Math.ceil(replayWindow / 32)}`,
    ...esnBitmap(state),
  ]
}

function stateLines(state: XfrmState): readonly string[] {
  const { source, destination, spi, reqid, mode, esn, replayWindow, mark, outputMark, algorithm } = state
  const flags = [
    ...state.flags,
    ...(state.selector === undefined ? ['af-unspec'] : []),
    ...(esn ? ['esn'] : []),
  ]
  const marks = [...markText('mark', mark), ...markText('output-mark', outputMark)]
  return [
    `src ${formatIp(source)} dst ${formatIp(destination)}`,
    `\tproto esp spi 0x${hex8(spi)} reqid ${reqid} mode ${mode}`,
    `\treplay-window ${esn ? 0 : replayWindow} ${flags.length === 0 ? '' : `flag ${flags.join(' ')}`}`,
    ...(marks.length === 0 ? [] : [`\t${marks.join(' ')}`]),
    ...algorithm.text.map((line) => `\t${line}`),
    ...replayLines(state),
    ...(state.selector === undefined ? [] : [`\tsel ${selectorText(state.selector)}`]),
  ]
}

function templateLines({ source, destination, spi, reqid, mode, optional }: Template): readonly string[] {
  const number = spi === 0 ? '' : ` spi 0x${hex8(spi)}`
  return [
    `\ttmpl src ${formatIp(source)} dst ${formatIp(destination)}`,
    `\t\tproto esp${number} reqid ${reqid} mode ${mode}`,
    ...(optional ? ['\t\tlevel use '] : []),
  ]
}

function policyLines({ selector, direction, action, priority, mark, templates }: Policy): readonly string[] {
  return [
    selectorText(selector),
    `\tdir ${direction} ${action === 'block' ? 'action block ' : ''}priority ${priority} ptype main `,
    ...markText('mark', mark).map((line) => `\t${line} `),
    ...templates.flatMap(templateLines),
  ]
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

/** `ip xfrm state`. */
export function showStates({ xfrm }: Namespace): string {
  return joined((xfrm?.states.list() ?? []).flatMap(stateLines))
}

/** `ip xfrm policy`. */
export function showPolicies({ xfrm }: Namespace): string {
  const all = directions.flatMap((direction) => xfrm?.policies.list(direction) ?? [])
  return joined(
    all
      .sort((left, right) => (xfrm?.policies.age(right) ?? 0) - (xfrm?.policies.age(left) ?? 0))
      .flatMap(policyLines),
  )
}
