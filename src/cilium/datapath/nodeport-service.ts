// A packet for a service: choice of a backend and the way to it. lib/nodeport.h nodeport_svc_lb4()
import type { Service, ServiceKey } from '../maps/service.ts'
import type { Tuple } from '../maps/tuple.ts'
import type { Ctx } from './ctx.ts'
import { drop } from './drop-reason.ts'
import type { Family } from './family.ts'
import type { PacketPlace } from './nat-mapping.ts'
import type { NodeportResult } from './nodeport.ts'
import type { ObjectProgram } from './object.ts'

/** A packet and the service that it is for. */
export interface ServicePacket {
  readonly tuple: Tuple
  readonly place: PacketPlace
  readonly key: ServiceKey
  readonly service: Service
  readonly source: number
}

/** nodeport_svc_lb4(): backends come with services; until then every service is one without. */
export function nodeportService(_ctx: Ctx, _packet: ServicePacket): NodeportResult {
  return { result: drop.NO_SERVICE, puntToStack: false, isDsr: false }
}

/** Slots NAT_EGRESS, DSR and NO_SERVICE of one family. */
export function serviceTails(_family: Family): [number, ObjectProgram][] {
  return []
}
