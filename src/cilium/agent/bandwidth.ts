// The bandwidth manager: rates of pods from their annotations, as entries of cilium_throttle (cilium pkg/datapath/linux/bandwidth,
// pkg/endpoint/events.go EndpointPolicyBandwidthEvent.Handle(), pkg/maps/bwmap).
import type { Endpoint } from './endpoint.ts'
import type { AgentNode, AgentPod } from './told.ts'

const egressAnnotation = 'kubernetes.io/egress-bandwidth'
const ingressAnnotation = 'kubernetes.io/ingress-bandwidth'
const priorityAnnotation = 'bandwidth.cilium.io/priority'

/** FqDefaultHorizon, bwmap.DefaultDropHorizon: two seconds, of the queue and of each endpoint. */
export const dropHorizon = 2_000_000_000

/** One entry of cilium_throttle. */
export interface Throttle {
  readonly endpoint: number
  readonly direction: 'egress' | 'ingress'
  /** 0: no limit. */
  readonly bytesPerSecond: number
  /** skb->priority plus one; 0: none is set. */
  readonly priority: number
}

/** Classes of pods as priorities of fq, plus one: 0 says that there is none. */
const classes: Readonly<Record<string, number>> = { guaranteed: 7, burstable: 9, besteffort: 6 }
const guaranteed = 7
const maxPriority = 0xffff_ffff

const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const decimal: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}

/** resource.ParseQuantity(), Value(): `10M`, `1Gi`, `1e6`, `0.5k`, rounded up to a whole number; undefined for no such text. */
export function parseQuantity(text: string): number | undefined {
  const parts = /^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?[0-9]+))?$/.exec(
    text,
  )
  if (parts === null) return undefined
  const [, digits = '', two, ten, exponent] = parts
  const factor = two === undefined ? 1 : 1024 ** binary.indexOf(two)
  const power = ten === undefined ? Number(exponent ?? 0) : (decimal[ten] ?? 0)
  // powers of ten are written, not multiplied, so that 0.1M is a whole number
  return Math.ceil(Number(`${digits}e${power}`) * factor)
}

/** What the annotations of a pod say. A text that cannot be read is told by `unread`, and ends the reading as in the agent. */
export interface PodRates {
  readonly egress: { readonly bytesPerSecond: number; readonly priority: number } | undefined
  readonly ingress: number | undefined
  readonly unread: { readonly annotation: string; readonly text: string } | undefined
}

function priorityOf(text: string): number | undefined {
  const plain = text.replaceAll('-', '')
  const known = classes[plain.toLowerCase()]
  if (known !== undefined) return known
  if (!/^[0-9]+$/.test(plain) || Number(plain) > maxPriority) return undefined
  return Number(plain) + 1
}

function bytesPerSecond(text: string): number | undefined {
  const bits = parseQuantity(text)
  return bits === undefined ? undefined : Math.floor(bits / 8)
}

/** The rates of a pod. */
export function podRates({ annotations }: AgentPod['object']): PodRates {
  const out = annotations[egressAnnotation] ?? ''
  const rank = annotations[priorityAnnotation] ?? ''
  const into = annotations[ingressAnnotation] ?? ''
  const rate = out === '' ? 0 : bytesPerSecond(out)
  const priority = rank === '' ? 0 : priorityOf(rank)
  const unreadRate = rate === undefined ? { annotation: egressAnnotation, text: out } : undefined
  if (priority === undefined) {
    const egress = rate === undefined ? undefined : { bytesPerSecond: rate, priority: 0 }
    return { egress, ingress: undefined, unread: { annotation: priorityAnnotation, text: rank } }
  }
  // a number as priority makes the agent forget that it could not read the rate
  const isNumber = rank !== '' && classes[rank.replaceAll('-', '').toLowerCase()] === undefined
  if (unreadRate !== undefined && !isNumber)
    return { egress: undefined, ingress: undefined, unread: unreadRate }
  const egress = { bytesPerSecond: rate ?? 0, priority }
  const ingress = into === '' ? undefined : bytesPerSecond(into)
  const unreadIngress =
    into !== '' && ingress === undefined ? { annotation: ingressAnnotation, text: into } : undefined
  return { egress, ingress, unread: unreadRate ?? unreadIngress }
}

/** Annotations about bandwidth that a pod has. */
export function bandwidthAnnotations({ annotations }: AgentPod['object']): readonly string[] {
  return [ingressAnnotation, egressAnnotation].filter((key) => key in annotations)
}

/** All entries of a node's cilium_throttle. The host is of the class guaranteed, without a limit, once there is a pod. */
export function throttlesOf({ config }: AgentNode, endpoints: readonly Endpoint[]): readonly Throttle[] {
  if (!config.bandwidthManager) return []
  const pods = endpoints.flatMap(({ id, pod }): readonly Throttle[] => {
    if (pod === undefined) return []
    const { egress, ingress } = podRates(pod.object)
    return [
      ...(egress === undefined ? [] : [{ endpoint: id, direction: 'egress' as const, ...egress }]),
      ...(ingress === undefined
        ? []
        : [{ endpoint: id, direction: 'ingress' as const, bytesPerSecond: ingress, priority: 0 }]),
    ]
  })
  const host = endpoints.find(({ kind }) => kind === 'host')
  if (host === undefined || pods.every(({ direction }) => direction === 'ingress')) return pods
  return [{ endpoint: host.id, direction: 'egress', bytesPerSecond: 0, priority: guaranteed }, ...pods]
}
