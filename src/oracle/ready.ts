// What a kernel does by itself after devices were made: its workers notice carriers (net/core/link_watch.c) and make
// addresses of IPv6 usable, also those that nobody probes for (addrconf_dad_work). Until then a device drops what it is
// given, and an address is neither answered for nor spoken from. On a busy machine the workers are late.
import { pause } from './pause.ts'

/** What is asked of a world. */
export interface Workers {
  /** Milliseconds, from any start. */
  readonly clock: () => number
  /** One question for each card that must have a carrier: IFF_RUNNING. */
  readonly carriers: readonly (() => boolean)[]
  /** For each namespace with IPv6 what it has in a file of /proc/net. */
  readonly namespaces: readonly ((file: 'if_inet6' | 'ipv6_route') => string)[]
  /** Waits until nobody works on devices: takes the lock that the workers hold, and gives it back. */
  readonly queueUp: () => void
}

const patienceMs = 2000
/** IFA_F_TENTATIVE, RTF_LOCAL */
const flag = { tentative: 0x40, local: 0x8000_0000 } as const

/** Waits until the workers are through, or for two seconds. */
export function waitForWorkers({ clock, carriers, namespaces, queueUp }: Workers): void {
  const end = clock() + patienceMs
  const wait = (questions: readonly (() => boolean)[]): void => {
    if (questions.length === 0) return
    for (const holds of questions) while (!holds() && clock() < end) pause(1)
    queueUp() // a worker tells of a carrier, or takes an address into the tables, before it is through
  }
  wait(carriers)
  wait(namespaces.map((read) => () => allUsable(read('if_inet6'), read('ipv6_route'))))
}

/**
 * Whether every address has its local route and is not tentative. Without a probe (`nodad`) it never is tentative, and its
 * route comes all the same from a worker. All numbers are hexadecimal.
 */
export function allUsable(addresses: string, routes: string): boolean {
  const local = new Set(
    fields(routes).flatMap(([destination, , , , , , , , flags, device]) =>
      isSet(flags, flag.local) ? [`${destination} ${device}`] : [],
    ),
  )
  return fields(addresses).every(
    ([address, , , , flags, device]) => !isSet(flags, flag.tentative) && local.has(`${address} ${device}`),
  )
}

function fields(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => line.trim().split(/\s+/))
}

function isSet(flags: string | undefined, bit: number): boolean {
  return (Number.parseInt(flags ?? '0', 16) & bit) !== 0
}
