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
  /** The text of `/proc/net/if_inet6` of each namespace. */
  readonly addresses: readonly (() => string)[]
  /** Waits until nobody works on devices: takes the lock that the workers hold, and gives it back. */
  readonly queueUp: () => void
}

const patienceMs = 2000
const tentative = 0x40

/** Waits until the workers are through, or for two seconds. */
export function waitForWorkers({ clock, carriers, addresses, queueUp }: Workers): void {
  const end = clock() + patienceMs
  const wait = (questions: readonly (() => boolean)[]): void => {
    if (questions.length === 0) return
    for (const holds of questions) while (!holds() && clock() < end) pause(1)
    queueUp() // a worker tells of a carrier, or takes an address into the tables, before it is through
  }
  wait(carriers)
  wait(addresses.map((text) => () => !hasTentative(text())))
}

/** Whether an address is not usable yet: address, index, length, scope, flags, device, all hexadecimal but the last. */
function hasTentative(text: string): boolean {
  return text.split('\n').some((line) => (Number.parseInt(line.split(/ +/)[4] ?? '0', 16) & tentative) !== 0)
}
