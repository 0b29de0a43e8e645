// fq in `tc [-s] qdisc show`, as iproute2 6.1 prints it (tc/q_fq.c fq_print_opt(), fq_print_xstats()); bands and weights,
// which that version does not know, are left out.
import { durationText } from '../../base/duration.ts'
import type { NetDevice } from '../device/device.ts'
import { Fq, type FqOptions } from '../tc/fq.ts'

/** tc_print_rate(): the largest unit that divides the rate, as iproute2 rounds it. */
function rateText(bytes: number): string {
  let rate = bytes * 8
  const units = ['', 'K', 'M', 'G', 'T']
  let unit = 0
  while (rate >= 1000 && unit < units.length - 1 && rate % 1000 === 0) {
    rate /= 1000
    unit += 1
  }
  return `${rate}${units[unit]}bit`
}

function kilobytes(bytes: number): string {
  return bytes >= 1024 && bytes % 1024 === 0 ? `${bytes / 1024}Kb` : `${bytes}b`
}

function optionsText(options: FqOptions): string {
  const words = [
    `limit ${options.limit}p`,
    `flow_limit ${options.flowLimit}p`,
    'buckets 1024 orphan_mask 1023',
    ...(options.pacing ? [] : ['nopacing']),
    `quantum ${kilobytes(options.quantum)}`,
    `initial_quantum ${kilobytes(options.initialQuantum)}`,
    ...(options.maxRate === Number.POSITIVE_INFINITY ? [] : [`maxrate ${rateText(options.maxRate)}`]),
    'low_rate_threshold 550Kbit',
    'refill_delay 40ms',
    'timer_slack 10us',
    `horizon ${durationText(options.horizon)}`,
    options.horizonDrop ? 'horizon_drop' : 'horizon_cap',
  ]
  return `${words.join(' ')} `
}

function statisticsLines(dev: NetDevice, fq: Fq): readonly string[] {
  const { counters, own, rounds } = fq
  let inactive = 0
  for (const { packets } of fq.flows.values()) if (packets.length === 0) inactive += 1
  const next = rounds.nextDelayed()
  const delayed =
    next === Number.POSITIVE_INFINITY ? '' : ` next packet delay ${next - dev.ns.machine.clock.now} ns`
  const limited = own.flowsLimit === 0 ? '' : ` flows_plimit ${own.flowsLimit}`
  const lost = [
    ...(own.tooLong === 0 ? [] : [` pkts_too_long ${own.tooLong}`]),
    ...(own.horizonDrops === 0 ? [] : [` horizon_drops ${own.horizonDrops}`]),
    ...(own.horizonCaps === 0 ? [] : [`  horizon_caps ${own.horizonCaps}`]),
  ]
  return [
    ` Sent ${counters.bytes} bytes ${counters.packets} pkt (dropped ${counters.drops}, overlimits 0 requeues 0) `,
    ` backlog ${counters.backlogBytes}b ${counters.queued}p requeues 0`,
    `  flows ${fq.flows.size} (inactive ${inactive} throttled ${rounds.delayed.length})${delayed}`,
    `  gc 0 highprio 0 throttled ${own.throttled}${limited}`,
    ...(lost.length === 0 ? [] : [lost.join('')]),
  ]
}

/** The lines of a device whose root is fq; undefined where it is something else. */
export function fqLines(
  dev: NetDevice,
  options: { readonly statistics: boolean; readonly named: boolean },
): readonly string[] | undefined {
  const fq = dev.qdisc?.discipline
  if (!(fq instanceof Fq) || !dev.up) return undefined
  const on = options.named ? '' : `dev ${dev.name} `
  const head = `qdisc fq 8001: ${on}root refcnt 2 ${optionsText(fq.settings)}`
  return options.statistics ? [head, ...statisticsLines(dev, fq)] : [head]
}
