// Ties the loops of the data path together: the only file that knows both ends of them.
import type { Wiring } from './machine.ts'
import { netifReceive } from './receive.ts'
import { redirect } from './redirect.ts'
import { servicesFor } from './services.ts'
import { queueTransmit } from './transmit.ts'

/** The functions that a machine's data path reaches in circles. */
export function createWiring(): Wiring {
  return { redirect, services: servicesFor, transmit: queueTransmit, netifReceive }
}
